#if canImport(Glibc)
    import Glibc
#endif

/// State of the control side behind a POSIX mutex; workers never touch it.
///
/// Not `Synchronization.Mutex`: that one waits in the kernel in a way that ThreadSanitizer does not know, so every use of
/// it would be reported as a race.
final class ControlLock<State>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var state: State

    init(_ state: State) {
        self.state = state
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deinitialize(count: 1)
        mutex.deallocate()
    }

    func withLock<Result>(_ body: (inout State) -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body(&state)
    }
}
