import Netlink
import Synchronization

/// The newest network configuration, on its way from the netlink thread to the control loop, which looks every few
/// milliseconds: a burst of changes becomes one snapshot.
final class NetworkMailbox: Sendable {
    struct Contents {
        var state: NetworkState?
        /// The parts in which it differs from the last one that was taken.
        var change: NetworkChange = []
        /// Why the monitor ended, if it did.
        var failure: NetlinkError?
    }

    private let contents = Mutex(Contents())

    func post(_ state: NetworkState, change: NetworkChange) {
        contents.withLock {
            $0.state = state
            $0.change.formUnion(change)
        }
    }

    func post(failure: NetlinkError) {
        contents.withLock { $0.failure = failure }
    }

    /// The news since the last call.
    func take() -> Contents {
        contents.withLock { contents in
            defer { contents = Contents() }
            return contents
        }
    }
}

/// The netlink monitor, which can be exchanged when it fails.
final class RestartableMonitor: Sendable {
    private let mailbox: NetworkMailbox
    private let monitor: Mutex<NetworkMonitor?>
    /// The configuration when the gateway started.
    let initialState: NetworkState

    init(_ mailbox: NetworkMailbox) throws(GatewayError) {
        self.mailbox = mailbox
        do {
            let first = try Self.make(mailbox)
            initialState = first.initialState
            monitor = Mutex(first)
        } catch {
            throw GatewayError(.environment, cause: error)
        }
    }

    /// Reads everything anew, and follows from there.
    func restart() throws(NetlinkError) {
        let next = try Self.make(mailbox)
        mailbox.post(next.initialState, change: .everythingUncertain)
        monitor.withLock { $0 = next }
    }

    /// Ends the monitor's thread.
    func stop() {
        let last = monitor.withLock { monitor in
            defer { monitor = nil }
            return monitor
        }
        last?.stop()
    }

    private static func make(_ mailbox: NetworkMailbox) throws(NetlinkError) -> NetworkMonitor {
        try NetworkMonitor(
            onFailure: { mailbox.post(failure: $0) },
            observer: { change, state in mailbox.post(state, change: change) })
    }
}
