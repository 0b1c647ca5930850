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
    /// When a worker last asked for a neighbour, in nanoseconds.
    private var wanted: [Neighbour.Key: UInt64] = [:]

    /// How long a question of a worker stands; it asks again while packets come.
    private static let interestInNanoseconds: UInt64 = 10_000_000_000
    /// A scan of a large network behind a LAN port must not make us ask for all of it at once.
    private static let mostWanted = 1024
    private static let mostProbesAtOnce = 64

    init(session: NetlinkSession, logger: Logger) {
        self.session = session
        self.logger = logger
    }

    /// A packet waits for this neighbour.
    mutating func want(_ key: Neighbour.Key, now: UInt64) {
        guard wanted[key] != nil || wanted.count < Self.mostWanted else { return }
        wanted[key] = now
    }

    /// Asks the kernel about those that are due.
    ///
    /// - Parameters:
    ///   - peers: neighbours that lead to peers; they are kept resolved, so that tunnels never wait.
    ///   - now: nanoseconds of the dataplane's clock.
    mutating func probe(_ peers: [Neighbour.Key], view: ForwardingView, in state: NetworkState, now: UInt64) {
        wanted = wanted.filter { now &- $0.value < Self.interestInNanoseconds }
        var keys = Set(peers).union(wanted.keys)
        // Any known neighbour may be in use by decrypted traffic, and would otherwise never be verified.
        for entry in view.neighbours {
            guard case .resolved = entry.state else { continue }
            keys.insert(.init(interfaceIndex: entry.interfaceIndex, address: entry.address))
        }
        for key in prober.due(keys, in: state, now: now).prefix(Self.mostProbesAtOnce) {
            do throws(NetlinkError) {
                try session.probeNeighbour(interface: key.interfaceIndex, address: key.address)
            } catch {
                // The interface may have gone down a moment ago; the next question comes soon enough.
                logger.debug("neighbour not asked for", metadata: ["address": "\(key.address)", "error": "\(error)"])
            }
        }
    }
}
