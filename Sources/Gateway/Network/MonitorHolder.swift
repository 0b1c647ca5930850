import Netlink
import Synchronization

/// The netlink monitor, which can be exchanged when it fails.
final class MonitorHolder: Sendable {
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
            throw GatewayError(.environment, "\(error)", remedy: "")
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
