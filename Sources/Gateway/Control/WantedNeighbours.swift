import Netlink
import Packets

/// The neighbours that packets wait for and that have not answered yet, and which of them to ask for now. Pure; the clock
/// is passed in.
///
/// Whoever sends to addresses that nobody has makes us ask for them, and each question takes a place in the kernel's
/// neighbour table, of about a thousand, for some 15 s. So there are few places here, each tunnel or port has a part of
/// them, and each sender a part of that. Who answers gives the place back at once.
struct WantedNeighbours {
    /// Whose packets wait.
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
        /// When a packet last asked, nanoseconds.
        var last: UInt64
        /// When the kernel was last asked, nanoseconds.
        var asked: UInt64?
    }

    private struct Sender: Hashable {
        var requester: Requester
        var address: IPAddress
    }

    private var wishes: [Neighbour.Key: Wish] = [:]
    private var ofRequesters: [Requester: Int] = [:]
    private var ofSenders: [Sender: Int] = [:]
    private let intervals = NeighbourProber.Intervals()

    static let most = 256
    static let mostOfRequester = 64
    static let mostOfSender = 16
    /// How long a question stands, nanoseconds; a worker asks again while packets come.
    private static let interest: UInt64 = 10_000_000_000

    var count: Int { wishes.count }

    /// A packet waits for this neighbour. `now`: nanoseconds of a clock that never goes back.
    mutating func want(_ key: Neighbour.Key, by requester: Requester, sender address: IPAddress, now: UInt64) {
        if wishes[key] != nil {
            wishes[key]?.last = now
            return
        }
        let sender = Sender(requester: requester, address: address)
        if requester != .gateway {
            guard ofRequesters[requester, default: 0] < Self.mostOfRequester,
                ofSenders[sender, default: 0] < Self.mostOfSender
            else { return }
        }
        if wishes.count >= Self.most, !makeRoom(for: requester) { return }
        wishes[key] = Wish(requester: requester, sender: address, last: now, asked: nil)
        ofRequesters[requester, default: 0] += 1
        ofSenders[sender, default: 0] += 1
    }

    /// Those to ask for now; they count as asked. Those that have answered, and those that no packet waits for any more, are
    /// forgotten. Costs as much as there are places.
    mutating func takeDue(in state: NetworkState, now: UInt64) -> [Neighbour.Key] {
        var due: [Neighbour.Key] = []
        for (key, wish) in wishes {
            let known = state.neighbours[key]
            guard now &- wish.last < Self.interest, known?.usableMACAddress == nil else {
                forget(key)
                continue
            }
            let interval = known?.state == .failed ? intervals.failed : intervals.unresolved
            if let asked = wish.asked, now &- asked < interval { continue }
            wishes[key]?.asked = now
            due.append(key)
        }
        return due
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
