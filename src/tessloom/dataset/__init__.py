"""Files on disk: their schema, the writer, the receipts and the catalogue."""
