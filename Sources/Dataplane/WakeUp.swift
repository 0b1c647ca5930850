import CLinux
import Glibc
import Synchronization

/// Wakes a thread that sleeps in `poll`, and costs one load when it does not sleep.
///
/// The sleeper: `announce`, look once more for work, `poll` with `fileDescriptor` among the descriptors, `clear`.
/// The waker: make the work visible, then `signal`.
public final class WakeUp: Sendable {
    private let asleep = Atomic<Bool>(false)
    /// An eventfd.
    public let fileDescriptor: Int32

    public init() {
        fileDescriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        precondition(fileDescriptor >= 0, "no event descriptor left: raise the limit of open files")
    }

    deinit { close(fileDescriptor) }

    /// Says that the calling thread is about to sleep.
    public func announce() {
        asleep.store(true, ordering: .sequentiallyConsistent)
        atomicMemoryFence(ordering: .sequentiallyConsistent)
    }

    /// Says that the thread is awake, and empties the descriptor.
    public func clear() {
        asleep.store(false, ordering: .relaxed)
        var value: UInt64 = 0
        _ = read(fileDescriptor, &value, 8)
    }

    /// Wakes the thread if it sleeps. At most one system call per sleep.
    public func signal() {
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        guard asleep.load(ordering: .relaxed), asleep.exchange(false, ordering: .acquiringAndReleasing) else { return }
        var one: UInt64 = 1
        _ = write(fileDescriptor, &one, 8)
    }
}
