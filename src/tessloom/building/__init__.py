"""From the archive's lists to a published dataset: plan, partitions, workers."""
