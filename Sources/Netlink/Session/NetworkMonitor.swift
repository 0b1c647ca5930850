import CLinux
import Platform
import Synchronization

/// Follows the host's network configuration on a thread of its own.
///
/// 1. Subscribe to every group, so that nothing that happens during step 2 is missed.
/// 2. Dump all tables. What was queued meanwhile is applied afterwards; each object's last message wins.
/// 3. Sleep until messages come; apply all that are there; dump again what has become uncertain; report once.
/// 4. When the queue has overflowed (`ENOBUFS`): back to step 2.
///
/// The monitor belongs to the network namespace of the thread that created it.
package final class NetworkMonitor: Sendable {
    /// Called on the monitor's thread with what changed and the configuration as it is now.
    package typealias Observer = @Sendable (_ change: NetworkChange, _ state: NetworkState) -> Void

    /// The configuration when the monitor was created.
    package let initialState: NetworkState
    private let thread: MonitorThread
    private let handle: Mutex<SystemThread?>

    /// Subscribes, reads everything, and starts to follow.
    package init(
        onFailure: @escaping @Sendable (NetlinkError) -> Void = { _ in }, observer: @escaping Observer
    ) throws(NetlinkError) {
        thread = try MonitorThread(observer: observer, onFailure: onFailure)
        initialState = thread.initialState
        let started: SystemThread
        do { started = try SystemThread("sluice-netlink") { [thread] in thread.run() } } catch {
            throw .system(error, operation: "start the monitor's thread")
        }
        handle = Mutex(started)
    }

    deinit { stop() }

    /// Ends the thread and waits for it. No call of the observer comes after this. Not to be called by the observer.
    package func stop() {
        handle.withLock { handle in
            guard let started = handle else { return }
            thread.requestStop()
            started.join()
            handle = nil
        }
    }

}

/// The state that the monitor's thread works on. Apart from `requestStop`, used by that thread alone once it runs.
private final class MonitorThread: @unchecked Sendable {
    let initialState: NetworkState
    private let subscription: Subscription
    private let session: NetlinkSession
    private let wakeUp: EventCounter
    private let observer: NetworkMonitor.Observer
    private let onFailure: @Sendable (NetlinkError) -> Void

    init(
        observer: @escaping NetworkMonitor.Observer, onFailure: @escaping @Sendable (NetlinkError) -> Void
    ) throws(NetlinkError) {
        subscription = try Subscription()
        session = try NetlinkSession()
        initialState = try session.networkState()
        self.observer = observer
        self.onFailure = onFailure
        do { wakeUp = try EventCounter(isNonBlocking: false) } catch {
            throw .system(error, operation: "make an event descriptor")
        }
    }

    func requestStop() { wakeUp.signal() }

    func run() {
        var state = initialState
        let sleepers = PollSet([subscription.fileDescriptor, wakeUp.number])
        let stopSignal = PollSet([wakeUp.number])
        while waitForMessages(sleepers) {
            do throws(NetlinkError) {
                let change = try subscription.drain(into: &state)
                let certain = try resolve(change, in: &state)
                if !certain.isEmpty { observer(certain, state) }
            } catch {
                onFailure(error)
                // Most likely lack of memory. Not at full speed, but go on: stale routes are worse.
                if stopSignal.wait(atMostMilliseconds: 1000) == 1 { return }
            }
        }
    }

    /// Sleeps until there are messages; false when the monitor is to stop.
    private func waitForMessages(_ sleepers: borrowing PollSet) -> Bool {
        while sleepers.wait(atMostMilliseconds: -1) < 0 {
            guard Errno.last == .interrupted else { return false }
        }
        return !sleepers.isReady(1)
    }

    /// Dumps what is uncertain. What remains is certain.
    private func resolve(_ change: NetworkChange, in state: inout NetworkState) throws(NetlinkError) -> NetworkChange {
        if change.contains(.everythingUncertain) {
            state = try session.networkState()
            return [.links, .addresses, .routes, .neighbours]
        }
        guard change.contains(.routesUncertain) else { return change }
        return change.subtracting(.routesUncertain).union(state.replaceRoutes(with: try session.routes()))
    }
}

/// The socket that the kernel reports changes to.
private struct Subscription: ~Copyable {
    private let socket: NetlinkSocket
    var fileDescriptor: Int32 { socket.fileDescriptor }

    /// Room for some ten thousand messages at once.
    private static let receiveBufferSize: Int32 = 4 * 1024 * 1024
    /// Most datagrams handled before the observer hears of it.
    private static let burst = 1024

    init() throws(NetlinkError) {
        let socket = try NetlinkSocket(receiveTimeoutSeconds: 5)
        socket.enlargeReceiveBuffer(toBytes: Self.receiveBufferSize)
        let groups = [
            RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
            RTNLGRP_IPV6_ROUTE,
        ]
        for group in groups { try socket.join(group) }
        self.socket = socket
    }

    /// Applies what is there, without waiting.
    func drain(into state: inout NetworkState) throws(NetlinkError) -> NetworkChange {
        var change: NetworkChange = []
        for _ in 0..<Self.burst {
            switch try socket.receive(wait: false) {
            case .nothing: return change
            case .overrun: change.insert(.everythingUncertain)
            case .messages(let messages):
                for received in messages { change.formUnion(state.apply(received.message)) }
            }
        }
        return change
    }
}
