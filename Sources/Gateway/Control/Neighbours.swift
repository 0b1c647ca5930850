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

    /// The number of known neighbours that are verified each second: a thousand that have gone stale together are
    /// verified within a few seconds.
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
    mutating func want(_ event: WorkerEvent, connection: String?, now: Instant) {
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
    mutating func ask(in state: NetworkState, now: Instant) {
        for key in wanted.takeDue(in: state, now: now) { probe(key) }
    }

    /// Asks the kernel to verify known neighbours; called each second.
    ///
    /// - Parameter peers: neighbours that lead to peers; they are kept resolved, so that tunnels never wait.
    mutating func verify(_ peers: [Neighbour.Key], view: ForwardingView, in state: NetworkState, now: Instant) {
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

/// The neighbours that packets wait for and that have not answered yet, and which of them to ask for now. Pure; the clock
/// is passed in.
///
/// Whoever sends to addresses that nobody has makes us ask for them, and each question takes a place in the kernel's
/// neighbour table, of about a thousand, for some 15 s. So there are few places here, each tunnel or port has a part of
/// them, and each sender a part of that. Who answers gives the place back at once.
struct WantedNeighbours {
    /// The neighbours whose packets wait.
    enum Requester: Hashable {
        /// Our own, to a peer.
        case gateway
        /// Out of a tunnel of this connection.
        case connection(String)
        /// Out of a tunnel that was keyed by hand (its SPI), or from a port (its number).
        case number(UInt32)
    }

    private struct Wish {
        var requester: Requester
        var sender: IPAddress
        /// The time at which a packet last asked, nanoseconds.
        var last: Instant
        /// The times at which the kernel was first asked, and last, nanoseconds.
        var asked: Instant?
        var askedLast = Instant.start
    }

    private struct Sender: Hashable {
        var requester: Requester
        var address: IPAddress
    }

    private var wishes: [Neighbour.Key: Wish] = [:]
    private var ofRequesters: [Requester: Int] = [:]
    private var ofSenders: [Sender: Int] = [:]
    /// Neighbours that gave their place to others, and when, nanoseconds.
    private var givenUp: [Neighbour.Key: Instant] = [:]
    private let intervals = NeighbourProber.Intervals()

    static let most = 256
    static let mostOfRequester = 64
    static let mostOfSender = 16
    /// The time for which a question stands, nanoseconds; a worker asks again while packets come.
    private static let interest = Duration.seconds(10)
    /// The time for which the kernel asks by itself, and a little more, nanoseconds.
    private static let patience = Duration.seconds(4)
    /// The time for which a neighbour that has given its place takes none from others, nanoseconds.
    private static let rest = Duration.seconds(30)
    private static let mostGivenUp = 1024

    var count: Int { wishes.count }

    /// A packet waits for this neighbour. `now`: nanoseconds of a clock that never goes back.
    mutating func want(_ key: Neighbour.Key, by requester: Requester, sender address: IPAddress, now: Instant) {
        if wishes[key] != nil {
            wishes[key]?.last = now
            return
        }
        let sender = Sender(requester: requester, address: address)
        if requester != .gateway {
            if ofSenders[sender, default: 0] >= Self.mostOfSender,
                !giveUp(to: key, at: now, where: { $0.requester == requester && $0.sender == address })
            {
                return
            }
            if ofRequesters[requester, default: 0] >= Self.mostOfRequester,
                !giveUp(to: key, at: now, where: { $0.requester == requester })
            {
                return
            }
        }
        if wishes.count >= Self.most, !makeRoom(for: requester) { return }
        wishes[key] = Wish(requester: requester, sender: address, last: now, asked: nil)
        ofRequesters[requester, default: 0] += 1
        ofSenders[sender, default: 0] += 1
    }

    /// The neighbours to ask for now; they count as asked. Those that have answered, and those that no packet waits for
    /// any more, are forgotten. Costs as much as there are places.
    mutating func takeDue(in state: NetworkState, now: Instant) -> [Neighbour.Key] {
        var due: [Neighbour.Key] = []
        for (key, wish) in wishes {
            let known = state.neighbours[key]
            guard now - wish.last < Self.interest, known?.usableMACAddress == nil else {
                forget(key)
                continue
            }
            let interval = known?.state == .failed ? intervals.failed : intervals.unresolved
            if wish.asked != nil, now - wish.askedLast < interval { continue }
            wishes[key]?.asked = wish.asked ?? now
            wishes[key]?.askedLast = now
            due.append(key)
        }
        return due
    }

    /// A part is used up: the one of it that was asked first gives its place, if the kernel has given up by now; for some
    /// time it gets none in this way itself. So hosts that are always sent to and never there do not keep a new one from being
    /// asked for.
    private mutating func giveUp(to key: Neighbour.Key, at now: Instant, where isOfPart: (Wish) -> Bool) -> Bool {
        if let since = givenUp[key], now - since < Self.rest { return false }
        let spent = wishes.filter { isOfPart($0.value) && $0.value.asked.map { now - $0 >= Self.patience } ?? false }
        guard let first = spent.min(by: { $0.value.asked ?? 0 < $1.value.asked ?? 0 }) else { return false }
        forget(first.key)
        if givenUp.count >= Self.mostGivenUp { givenUp = givenUp.filter { now - $0.value < Self.rest } }
        if givenUp.count < Self.mostGivenUp { givenUp[first.key] = now }
        return true
    }

    /// All places are taken: one that has most of them gives one, if it has more than this one would have.
    private mutating func makeRoom(for requester: Requester) -> Bool {
        guard let (greediest, most) = ofRequesters.max(by: { $0.value < $1.value }),
            most > ofRequesters[requester, default: 0] + 1,
            let oldest = wishes.filter({ $0.value.requester == greediest }).min(by: { $0.value.last < $1.value.last })
        else { return false }
        forget(oldest.key)
        return true
    }

    private mutating func forget(_ key: Neighbour.Key) {
        guard let wish = wishes.removeValue(forKey: key) else { return }
        let sender = Sender(requester: wish.requester, address: wish.sender)
        let left = ofRequesters[wish.requester, default: 1] - 1
        ofRequesters[wish.requester] = left > 0 ? left : nil
        let leftOfSender = ofSenders[sender, default: 1] - 1
        ofSenders[sender] = leftOfSender > 0 ? leftOfSender : nil
    }
}
