import Platform

/// A thread of the gateway, whose failure to start is one of the gateway.
struct NamedThread: Sendable {
    private let thread: SystemThread

    /// - Parameters:
    ///   - name: at most 15 bytes, for `ps` and `top`.
    ///   - purpose: for errors, "worker 0".
    init(_ name: String, purpose: String, _ body: @escaping @Sendable () -> Void) throws(GatewayError) {
        do { thread = try SystemThread(name, body) } catch {
            throw GatewayError(
                .failure, "cannot start \(purpose): \(error)",
                remedy: "raise the limit of threads (ulimit -u, TasksMax=)")
        }
    }

    /// Waits for the end of the thread; to be called once.
    func join() { thread.join() }
}
