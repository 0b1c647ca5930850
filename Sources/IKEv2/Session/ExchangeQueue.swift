import IKEv2Messages
import Packets

/// The exchanges that this side begins: those that wait for the window, in their order, and the one that has sent its
/// request and waits for the response.
struct ExchangeQueue {
    private struct Waiting {
        var exchange: any InitiatedExchange
        /// The earliest time: after a TEMPORARY_FAILURE.
        let notBefore: Instant
    }

    private var waiting: [Waiting] = []
    private(set) var active: (any InitiatedExchange)?

    // MARK: - Waiting

    /// `first`: before all others.
    mutating func add(_ exchange: any InitiatedExchange, first: Bool = false, notBefore: Instant = 0) {
        let new = Waiting(exchange: exchange, notBefore: notBefore)
        if first { waiting.insert(new, at: 0) } else { waiting.append(new) }
    }

    /// A new child that is under way already is not begun twice, unless another packet calls for it: what comes up may not
    /// be for that.
    mutating func addChild(_ exchange: CreateChildExchange) {
        var new = exchange
        for index in waiting.indices {
            guard var other = waiting[index].exchange.newChild, other.child.name == new.child.name else { continue }
            other.takeHint(of: new)
            waiting[index].exchange = other
            if other.isEnough(for: new) { return }
            new.isSecond = true
        }
        if let running = active?.newChild, running.child.name == new.child.name {
            if running.isEnough(for: new) { return }
            new.isSecond = true
        }
        add(new)
    }

    /// The deletion of the IKE SA comes instead of everything that waits. False: there is one already.
    mutating func addLast(_ exchange: some InitiatedExchange) -> Bool {
        if active?.endsIKE != nil || waiting.first?.exchange.endsIKE != nil { return false }
        waiting = [Waiting(exchange: exchange, notBefore: 0)]
        return true
    }

    /// Hands what waits over to the IKE SA that takes over, as far as it is of use there.
    mutating func handOver(to heir: inout ExchangeQueue) {
        heir.waiting += waiting.filter(\.exchange.survivesIKERekey)
        waiting = []
    }

    mutating func clear() { waiting = [] }

    // MARK: - Under way

    /// Takes the next exchange that is due out of the queue; nil: there is none, or it is not the turn of its type, as
    /// before authentication.
    mutating func next(at now: Instant, where admits: (ExchangeType) -> Bool) -> (any InitiatedExchange)? {
        guard active == nil, let index = waiting.firstIndex(where: { $0.notBefore <= now }),
            admits(waiting[index].exchange.type)
        else { return nil }
        return waiting.remove(at: index).exchange
    }

    /// Its request is sent.
    mutating func began(_ exchange: any InitiatedExchange) { active = exchange }

    /// Its response has come, or never will.
    @discardableResult
    mutating func finish() -> (any InitiatedExchange)? {
        defer { active = nil }
        return active
    }

    // MARK: - Questions

    var waitingNames: [String] { waiting.map(\.exchange.name) }

    /// The time at which one of those that wait may begin.
    var nextStart: Instant? { waiting.lazy.map(\.notBefore).min() }

    /// Whether a rekey of this child waits.
    func willRekey(child id: UInt32) -> Bool { waiting.contains { $0.exchange.rekeyedChild == id } }

    /// Whether our Delete for this child waits.
    func willDelete(child id: UInt32) -> Bool { waiting.contains { $0.exchange.deletedChild == id } }

    /// Whether our Delete for this child waits for its answer.
    func isDeleting(child id: UInt32) -> Bool { active?.deletedChild == id }

    var rekeysIKE: Bool { active?.rekeysIKE == true || waiting.contains { $0.exchange.rekeysIKE } }

    /// Whether any answer is awaited that tells that the peer lives, or a question for that is to be sent.
    var probes: Bool { active != nil || waiting.contains { $0.exchange.isProbe } }

    // MARK: - Requests of the peer meanwhile

    mutating func peerRekeyed(child id: UInt32, _ collision: RekeyChildExchange.Collision) {
        active?.peerRekeyed(child: id, collision)
    }

    /// False: no rekey of the IKE SA by us is under way.
    mutating func peerRekeyedIKE(_ collision: RekeyIKEExchange.Collision) -> Bool {
        active?.peerRekeyedIKE(collision) ?? false
    }

    mutating func heirOfPeer() -> Session? { active?.heirOfPeer() }
}
