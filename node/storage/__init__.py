"""Everything that is on disk: the store (LevelDB), the journal, the double-sign guard, the key files.

One rule: what is read back is what was written, or an error. Nothing here retries after an I/O error: StorageFailed
ends the process, and the next start reads the disk afresh (docs/storage.md).
"""
