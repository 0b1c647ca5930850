import Platform
import Synchronization

/// Wakes a thread that sleeps in `poll`, and costs one load when it does not sleep.
///
/// The sleeper: `announce`, look once more for work, `poll` with `fileDescriptor` among the descriptors, `clear`.
/// The waker: make the work visible, then `signal`.
public final class WakeUp: Sendable {
    private let asleep = Atomic<Bool>(false)
    private let counter: EventCounter
    /// The descriptor to sleep on.
    public var fileDescriptor: Int32 { counter.number }

    public init() {
        do throws(Errno) {
            counter = try EventCounter(isNonBlocking: true)
        } catch {
            preconditionFailure("no event descriptor left: raise the limit of open files")
        }
    }

    /// Says that the calling thread is about to sleep.
    public func announce() {
        asleep.store(true, ordering: .sequentiallyConsistent)
        atomicMemoryFence(ordering: .sequentiallyConsistent)
    }

    /// Says that the thread is awake, and empties the descriptor.
    public func clear() {
        asleep.store(false, ordering: .relaxed)
        counter.clear()
    }

    /// Wakes the thread if it sleeps. At most one system call per sleep.
    public func signal() {
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        guard asleep.load(ordering: .relaxed), asleep.exchange(false, ordering: .acquiringAndReleasing) else { return }
        counter.signal()
    }
}
