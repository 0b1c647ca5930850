import IKEv2
import Packets

/// What happens to a datagram on its way.
enum Fault: Hashable, CustomStringConvertible {
    case lost
    case doubled
    /// Arrives so many milliseconds later than others.
    case delayed(milliseconds: UInt64)
    /// Arrives behind the next one of its direction, or after 200 ms.
    case overtaken

    var description: String {
        switch self {
        case .lost: "lost"
        case .doubled: "doubled"
        case .delayed(let milliseconds): "delayed by \(milliseconds) ms"
        case .overtaken: "overtaken"
        }
    }
}

/// Datagrams between two ends, with a NAT before the first if the test wants one.
struct TestNetwork {
    enum Direction: Hashable { case eastward, westward }

    struct Datagram {
        let bytes: [UInt8]
        /// As the receiver sees it.
        let path: Path
        let direction: Direction
        var arrival: Instant
        /// Sent as the how manieth, from 1.
        let number: Int
    }

    /// 10 ms there, 10 ms back.
    var latency = Duration.milliseconds(10)
    /// By the number of the datagram, both directions counted together.
    var faults: [Int: Fault] = [:]
    /// Nothing gets through.
    var isCut = false
    /// What the east sees in place of the west's address and ports; nil: no NAT.
    var mapping: [Endpoint: Endpoint]?
    private(set) var sent = 0
    private(set) var underWay: [Datagram] = []
    private var held: [Direction: Datagram] = [:]

    /// `path` as the sender sees it. Returns the fault that it met.
    mutating func send(_ bytes: [UInt8], path: Path, direction: Direction, at now: Instant) -> Fault? {
        sent += 1
        let fault: Fault? = isCut ? .lost : faults[sent]
        guard let seen = translate(path, direction) else { return .lost }
        var datagram = Datagram(
            bytes: bytes, path: seen, direction: direction, arrival: now + latency, number: sent)
        switch fault {
        case .lost: return fault
        case .doubled: underWay.append(datagram)
        case .delayed(let milliseconds): datagram.arrival += .milliseconds(milliseconds)
        case .overtaken:
            datagram.arrival += .milliseconds(200)
            held[direction] = datagram
            return fault
        case nil: break
        }
        underWay.append(datagram)
        if var late = held.removeValue(forKey: direction) {
            late.arrival = datagram.arrival + .nanoseconds(1)
            underWay.append(late)
        }
        return fault
    }

    /// Ports that are not mapped yet are mapped as they are.
    private mutating func translate(_ path: Path, _ direction: Direction) -> Path? {
        guard mapping != nil else { return Path(local: path.remote, remote: path.local) }
        switch direction {
        case .eastward:
            guard let outside = mapping?[path.local] else { return nil }
            return Path(local: path.remote, remote: outside)
        case .westward:
            guard let inside = mapping?.first(where: { $0.value == path.remote })?.key else { return nil }
            return Path(local: inside, remote: path.local)
        }
    }

    var nextArrival: Instant? { (underWay + Array(held.values)).map(\.arrival).min() }

    /// What has arrived by `now`, in order.
    mutating func arrivals(at now: Instant) -> [Datagram] {
        for (direction, datagram) in held where datagram.arrival <= now {
            held[direction] = nil
            underWay.append(datagram)
        }
        let due = underWay.filter { $0.arrival <= now }.sorted { ($0.arrival, $0.number) < ($1.arrival, $1.number) }
        underWay.removeAll { $0.arrival <= now }
        return due
    }
}
