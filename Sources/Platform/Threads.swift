import CLinux
import Glibc

/// A thread of the operating system with a name, for work that blocks.
public struct SystemThread: Sendable {
    private let handle: pthread_t

    /// What the new thread is to do; it holds the only reference.
    private final class Task {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts the thread.
    /// - `name`: at most 15 bytes, for `ps` and `top`.
    public init(_ name: String, _ body: @escaping @Sendable () -> Void) throws(Errno) {
        var started = pthread_t()
        let task = Unmanaged.passRetained(Task(name: name, body: body))
        let code = pthread_create(&started, nil, { SystemThread.enter($0) }, task.toOpaque())
        guard code == 0 else {
            task.release()
            throw Errno(rawValue: code)
        }
        handle = started
    }

    /// Waits for the end of the thread. This or `detach` is to be called once.
    public func join() { pthread_join(handle, nil) }

    /// Lets the thread end without anybody waiting for it.
    public func detach() { pthread_detach(handle) }

    private static func enter(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let context else { return nil }
        let task = Unmanaged<Task>.fromOpaque(context).takeRetainedValue()
        pthread_setname_np(pthread_self(), task.name)
        task.body()
        return nil
    }
}

/// The processor cores, and which of them the calling thread runs on.
public enum Cores {
    /// The most cores that are looked at.
    private static let most = 1024

    /// The cores that the calling thread may use, in order; core 0 when the kernel does not tell.
    public static func allowed() -> [Int] {
        var bitmap = [UInt64](repeating: 0, count: most / 64)
        guard sluice_allowed_cores(&bitmap, UInt32(bitmap.count)) == 0 else { return [0] }
        return (0..<most).filter { bitmap[$0 / 64] >> UInt64($0 % 64) & 1 == 1 }
    }

    /// Keeps the calling thread on one core.
    public static func pin(to core: Int) throws(Errno) {
        let code = sluice_pin_thread(UInt32(core))
        if code != 0 { throw Errno(rawValue: code) }
    }
}

/// State behind a POSIX mutex, for control sides.
///
/// Not `Synchronization.Mutex`: that one waits in the kernel in a way that ThreadSanitizer does not know, so every use of
/// it would be reported as a race.
public final class ControlLock<State>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var state: State

    public init(_ state: State) {
        self.state = state
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deinitialize(count: 1)
        mutex.deallocate()
    }

    public func withLock<Result>(_ body: (inout State) -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body(&state)
    }
}
