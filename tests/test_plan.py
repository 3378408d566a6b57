"""The plan is pure: which partitions there are, and which are still to do."""

import pickle

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tessloom.archive.targets import SCHEMA, target_table
from tessloom.building.plan import (
    in_partition_order,
    keep_what_is_there,
    make_partitions,
    merge_listings,
    still_to_do,
)
from tessloom.dataset.receipt import Failure, Receipt
from tessloom.healpix import coarser, healpix_29, pixel_range
from tessloom.pipelines import TGLC

KEY = ("id", "camera", "ccd")


@st.composite
def listings(draw: st.DrawFn) -> pa.Table:
    """Draw a listing: each (id, camera, CCD) once, some targets without a position."""
    keys = draw(
        st.lists(
            st.tuples(st.integers(1, 30), st.integers(1, 2), st.integers(1, 2)),
            max_size=25,
            unique=True,
        )
    )
    count = len(keys)
    placed = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), bool)
    ra = np.array(draw(st.lists(st.floats(10, 14), min_size=count, max_size=count)), float)
    dec = np.array(draw(st.lists(st.floats(-3, 3), min_size=count, max_size=count)), float)
    return target_table(
        {
            **{name: [key[index] for key in keys] for index, name in enumerate(KEY)},
            "version": ["v1"] * count,
            "ra": pa.array(ra, mask=~placed),
            "dec": pa.array(dec, mask=~placed),
            "healpix_29": pa.array(healpix_29(ra, dec), mask=~placed),
            "reason": [None if is_placed else "missing" for is_placed in placed],
        },
        count,
    )


def keys_of(table: pa.Table) -> list[tuple[int, ...]]:
    return list(zip(*(table[name].to_pylist() for name in KEY), strict=True))


def receipt(pixel: int, digest: str, *reasons: str) -> Receipt:
    failures = tuple(
        Failure(id=1, camera=1, ccd=1, path="", reason=reason, detail="") for reason in reasons
    )
    return Receipt(
        pipeline="tglc",
        sector=23,
        pixel=pixel,
        digest=digest,
        asked=1,
        written=1 - len(failures),
        failures=failures,
    )


@settings(deadline=None)
@given(listings())
def test_partitions_hold_every_placed_target_once_sorted_and_in_its_pixel(
    listing: pa.Table,
) -> None:
    partitions = make_partitions(TGLC, 23, in_partition_order(listing))
    found = [key for partition in partitions for key in keys_of(partition.targets)]
    placed = listing.filter(pa.compute.is_valid(listing["healpix_29"]))
    assert sorted(found) == sorted(keys_of(placed))
    for partition in partitions:
        healpix = partition.targets["healpix_29"].to_numpy()
        first, end = pixel_range(TGLC.healpix_order, partition.pixel)
        assert (np.diff(healpix) >= 0).all()
        assert first <= healpix[0] <= healpix[-1] < end
        assert set(coarser(healpix, TGLC.healpix_order)) == {partition.pixel}
    assert len({partition.pixel for partition in partitions}) == len(partitions)


@settings(deadline=None)
@given(listings(), st.integers(0, 1000))
def test_the_plan_does_not_depend_on_the_order_of_the_listing(listing: pa.Table, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(listing))
    shuffled = listing.take(pa.array(order))
    digests = [
        {
            partition.pixel: partition.digest
            for partition in make_partitions(TGLC, 23, in_partition_order(table))
        }
        for table in (listing, shuffled)
    ]
    assert digests[0] == digests[1]


@settings(deadline=None)
@given(listings(), listings())
def test_a_merged_listing_has_each_target_once_and_none_is_lost(
    old: pa.Table, new: pa.Table
) -> None:
    merged = merge_listings(old, new)
    assert merged.schema == SCHEMA
    keys = keys_of(merged)
    assert len(keys) == len(set(keys))
    assert set(keys) >= set(keys_of(new))
    # A failure of an id that the new listing knows is answered by it.
    answered = set(new["id"].to_pylist())
    for key, reason in zip(keys_of(old), old["reason"].to_pylist(), strict=True):
        assert key in keys or (reason is not None and key[0] in answered)


@settings(deadline=None)
@given(listings(), listings())
def test_a_target_that_had_a_position_keeps_it(old: pa.Table, new: pa.Table) -> None:
    merged = merge_listings(old, new)
    after = dict(zip(keys_of(merged), merged["healpix_29"].to_pylist(), strict=True))
    for key, healpix in zip(keys_of(old), old["healpix_29"].to_pylist(), strict=True):
        if healpix is not None:
            assert after[key] == healpix


@settings(deadline=None)
@given(listings())
def test_merging_a_listing_with_itself_changes_nothing(listing: pa.Table) -> None:
    order = [(name, "ascending") for name in KEY]
    assert merge_listings(listing, listing).sort_by(order).equals(listing.sort_by(order))


@settings(deadline=None)
@given(listings())
def test_what_has_no_file_or_another_digest_is_still_to_do(listing: pa.Table) -> None:
    partitions = make_partitions(TGLC, 23, in_partition_order(listing))
    whole = {p.pixel: receipt(p.pixel, p.digest) for p in partitions}
    assert still_to_do(partitions, {}, retry_failed=False) == partitions
    assert still_to_do(partitions, whole, retry_failed=True) == []
    for partition in partitions:
        other = whole | {partition.pixel: receipt(partition.pixel, "of fewer targets")}
        assert still_to_do(partitions, other, retry_failed=False) == [partition]


def test_what_the_archive_failed_to_answer_is_asked_again_other_failures_on_request() -> None:
    table = target_table(
        {
            **{name: [1] for name in KEY},
            "version": ["v1"],
            "ra": [10.0],
            "dec": [0.0],
            "healpix_29": healpix_29(np.array([10.0]), np.array([0.0])),
        },
        1,
    )
    (partition,) = make_partitions(TGLC, 23, table)
    for reason, again in (("unavailable", True), ("missing", False), ("truncated", False)):
        receipts = {partition.pixel: receipt(partition.pixel, partition.digest, reason)}
        assert bool(still_to_do([partition], receipts, retry_failed=False)) == again
        assert still_to_do([partition], receipts, retry_failed=True)


@settings(deadline=None)
@given(listings())
def test_a_listing_in_order_has_the_same_targets_and_partitions_are_parts_of_it(
    listing: pa.Table,
) -> None:
    ordered = in_partition_order(listing)
    by_key = [(name, "ascending") for name in KEY]
    assert ordered.sort_by(by_key).equals(listing.sort_by(by_key))
    assert in_partition_order(ordered) is ordered
    start = 0
    for partition in make_partitions(TGLC, 23, ordered):
        assert ordered.slice(start, len(partition.targets)).equals(partition.targets)
        start += len(partition.targets)
    assert start == len(listing) - listing["reason"].drop_null().length()


@settings(deadline=None)
@given(listings(), st.data())
def test_what_a_file_was_asked_for_is_known_and_what_was_added_or_changed_is_not(
    listing: pa.Table, data: st.DataObject
) -> None:
    count = len(listing)
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), bool)
    newer = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), bool)
    before = in_partition_order(listing.filter(pa.array(kept)))
    versions = pa.array(np.where(newer, "v2", "v1").tolist(), pa.string())
    index = listing.column_names.index("version")
    after = in_partition_order(listing.set_column(index, listing.schema.field("version"), versions))
    earlier = make_partitions(TGLC, 23, before)
    receipts = {
        partition.pixel: receipt(partition.pixel, partition.digest) for partition in earlier
    }
    unchanged = set(keys_of(listing.filter(pa.array(kept & ~newer))))
    for partition in keep_what_is_there(make_partitions(TGLC, 23, after), earlier, receipts):
        if partition.pixel not in receipts:
            assert partition.known is None
            continue
        assert partition.known is not None
        assert partition.known.tolist() == [key in unchanged for key in keys_of(partition.targets)]


def test_a_file_that_was_asked_for_something_else_is_not_kept() -> None:
    table = target_table({name: [1] for name in KEY} | {"version": ["v1"], "healpix_29": [1]}, 1)
    partitions = make_partitions(TGLC, 23, table)
    receipts = {partitions[0].pixel: receipt(partitions[0].pixel, "of another request")}
    (partition,) = keep_what_is_there(partitions, partitions, receipts)
    assert partition.known is None


def test_a_partition_is_sent_to_a_worker_without_the_rest_of_its_sector() -> None:
    count = 50_000
    columns = {name: [1] * count for name in KEY} | {"version": ["v1"] * count}
    table = target_table(columns | {"healpix_29": [1] * 9 + [2**58] * (count - 9)}, count)
    small = make_partitions(TGLC, 23, in_partition_order(table))[0]
    sent = pickle.dumps(small)
    assert len(sent) < 20_000
    received = pickle.loads(sent)  # noqa: S301 - our own
    assert received == small
    assert received.targets.equals(small.targets)
