import CLinux
import Glibc

/// A POSIX thread with a name, that its starter waits for at its end.
struct NamedThread: Sendable {
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

    /// - Parameters:
    ///   - name: at most 15 bytes, for `ps` and `top`.
    ///   - purpose: for errors, "worker 0".
    init(_ name: String, purpose: String, _ body: @escaping @Sendable () -> Void) throws(GatewayError) {
        var started = pthread_t()
        let task = Unmanaged.passRetained(Task(name: name, body: body))
        let code = pthread_create(&started, nil, { NamedThread.enter($0) }, task.toOpaque())
        guard code == 0 else {
            task.release()
            throw GatewayError(
                .failure, "cannot start \(purpose): \(String(cString: strerror(code)))",
                remedy: "raise the limit of threads (ulimit -u, TasksMax=)")
        }
        handle = started
    }

    /// Waits for the end of the thread; to be called once.
    func join() { pthread_join(handle, nil) }

    private static func enter(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let context else { return nil }
        let task = Unmanaged<Task>.fromOpaque(context).takeRetainedValue()
        pthread_setname_np(pthread_self(), task.name)
        task.body()
        return nil
    }
}
