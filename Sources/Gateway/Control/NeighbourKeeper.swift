import Dataplane
import Logging
import Netlink
import Packets
import Policy

/// Keeps the kernel's neighbour table right for traffic that the kernel does not see: asks for neighbours that packets
/// wait for, and has those verified that are in use.
struct NeighbourKeeper {
    private let session: NetlinkSession
    private let logger: Logger
    private var prober = NeighbourProber()
    private var wanted = WantedNeighbours()

    /// Of known neighbours, each second: a thousand that have gone stale together are verified within a few seconds.
    private static let mostVerifiedAtOnce = 256

    init(session: NetlinkSession, logger: Logger) {
        self.session = session
        self.logger = logger
    }

    /// A packet waits for a neighbour.
    ///
    /// - Parameters:
    ///   - connection: of the tunnel that the packet came out of, where IKE made it.
    ///   - now: nanoseconds of the dataplane's clock.
    mutating func want(_ event: WorkerEvent, connection: String?, now: UInt64) {
        let requester: WantedNeighbours.Requester =
            if event.requester == WorkerEvent.ownPackets {
                .gateway
            } else if let connection {
                .connection(connection)
            } else {
                .number(event.requester)
            }
        wanted.want(
            Neighbour.Key(interfaceIndex: event.number, address: event.address), by: requester, sender: event.source,
            now: now)
    }

    /// Asks for those that packets wait for. To be called when one has come, and each second.
    mutating func ask(in state: NetworkState, now: UInt64) {
        for key in wanted.takeDue(in: state, now: now) { probe(key) }
    }

    /// Has known neighbours verified. To be called each second.
    ///
    /// - Parameter peers: neighbours that lead to peers; they are kept resolved, so that tunnels never wait.
    mutating func verify(_ peers: [Neighbour.Key], view: ForwardingView, in state: NetworkState, now: UInt64) {
        var keys = peers
        // Any known neighbour may be in use by decrypted traffic, and would otherwise never be verified.
        for entry in view.neighbours {
            guard case .resolved = entry.state else { continue }
            keys.append(.init(interfaceIndex: entry.interfaceIndex, address: entry.address))
        }
        for key in prober.due(keys, in: state, now: now, atMost: Self.mostVerifiedAtOnce) { probe(key) }
    }

    private func probe(_ key: Neighbour.Key) {
        do throws(NetlinkError) {
            try session.probeNeighbour(interface: key.interfaceIndex, address: key.address)
        } catch {
            // The interface may have gone down a moment ago; the next question comes soon enough.
            logger.debug("neighbour not asked for", metadata: ["address": "\(key.address)", "error": "\(error)"])
        }
    }
}
