import Netlink
import Synchronization

/// The newest network configuration, on its way from the netlink thread to the control loop, which looks every few
/// milliseconds: a burst of changes becomes one snapshot.
final class NetworkMailbox: Sendable {
    struct Contents {
        var state: NetworkState?
        /// In what it differs from the last one that was taken.
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

    /// What came since the last call.
    func take() -> Contents {
        contents.withLock { contents in
            defer { contents = Contents() }
            return contents
        }
    }
}
