"""What can be wrong with what is on disk. One rule: every cause has its own class, because each has its own remedy."""

from typing import Final

EXIT_STORAGE_FAILED: Final = 74  # EX_IOERR of sysexits.h: the supervisor starts us again, and alarms if that repeats


class StorageError(Exception):
    """The base of all that storage raises."""


class NotInitialised(StorageError):
    """Nothing was ever created there. An empty store must never be taken for a new one: `som init` creates."""


class AlreadyInitialised(StorageError):
    """Something is there already; creating would lose it."""


class WrongNetwork(StorageError):
    """It belongs to another network: another genesis hash."""


class InUse(StorageError):
    """Another process, or another part of this one, has it open."""


class Damaged(StorageError):
    """Bytes that were durable are gone or changed. Do not go on; restore, salvage or fetch from peers."""


class NotLinked(StorageError):
    """The block does not follow the tip: wrong height or parent. The caller erred; nothing was written."""


class DiskFull(StorageError):
    """There is too little free space to go on safely; nothing is lost."""


class StorageFailed(StorageError):
    """The operating system reported an I/O error: what is durable is now unknown. End the process, do not retry."""


class GuardError(StorageError):
    """The guard is missing, short, damaged or not ours: nothing is signed with this key."""


class GuardRefused(StorageError):
    """Signing this statement could contradict one signed before. The guard itself is well."""


class KeyFileError(StorageError):
    """The key file cannot be used: permissions, form, parameters, passphrase, or another key than it says."""
