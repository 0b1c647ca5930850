import Cryptography
import IKEv2Messages
import IPsec

/// A CHILD_SA of a session, and what is known of it beside the SA itself.
struct ChildRecord {
    var sa: ChildSA
    var state = ChildSAStatus.State.installed
    /// Whether outbound traffic goes through it.
    var hasOutbound = true
    /// The SA, by our number for it, whose outbound traffic this one takes over as soon as the peer deletes that.
    var replaces: UInt32?
    /// When it is looked whether the peer uses this SA, which waits for the place of another; nanoseconds.
    var lookAt: UInt64?
    /// When it was installed, nanoseconds; the looks get rarer with the time since then.
    var addedAt: UInt64
    /// When a rekey is due, nanoseconds; nil: never, or it was begun.
    var rekeyAt: UInt64?
    /// When a rekey was due by the times of the child, for listings: also when it was begun, or when the SA has to go.
    var plannedRekeyAt: UInt64?
    /// Rekeys that came to nothing, one after the other.
    var failedRekeys = 0
    /// A limit wants the rekey, so it is tried again when it comes to nothing.
    var isDue = false
    /// When it must be gone, nanoseconds; nil: never.
    var expiresAt: UInt64?
}

extension Session {
    /// The index of the record of a child, by our number for it.
    func childIndex(id: UInt32) -> Int? { childRecords.firstIndex { $0.sa.id == id } }

    /// By the SPI that the peer names in REKEY_SA and Delete: its inbound one, ours outbound.
    func childIndex(peerSPI: UInt32) -> Int? { childRecords.firstIndex { $0.sa.outboundSPI == peerSPI } }

    /// Takes a new SA into the records, with its times. Installing it is the exchange's, which knows the order.
    func add(_ sa: ChildSA, hasOutbound: Bool = true, _ step: inout Step) {
        let time = sa.child.time
        // A margin as large as the time itself would rekey without end.
        let margin = step.environment.random(below: .seconds(min(time.random, max(time.rekey, 1) - 1)))
        let rekeyAt = time.rekey == 0 ? nil : step.now.addingWithoutOverflow(.seconds(time.rekey)) - margin
        childRecords.append(
            ChildRecord(
                sa: sa, hasOutbound: hasOutbound, addedAt: step.now, rekeyAt: rekeyAt, plannedRekeyAt: rekeyAt,
                expiresAt: time.life == 0 ? nil : step.now.addingWithoutOverflow(.seconds(time.life))))
    }

    /// Both directions of the first SA for these selectors: inbound before the answer, outbound after it, so that a peer
    /// that installs on receipt of the answer does not miss packets. `isAnswer`: the peer asked for it, and does not have
    /// it yet.
    func install(_ sa: ChildSA, isAnswer: Bool, _ step: inout Step) {
        step.act(.installInbound(sa))
        add(sa, &step)
        sa.logKeys(to: step.environment)
        step.actAfterAnswer(isAnswer ? .installOutboundWhenUsed(sa) : .installOutbound(sa))
        step.reportAfterAnswer(.childUp(sa))
    }

    /// Takes both directions of an SA down. `atOnce`: no packet is under way in it that anybody misses.
    func remove(_ record: ChildRecord, reason: String, atOnce: Bool, _ step: inout Step) {
        var status = record.status(usage: step.environment.usage(of: record.sa))
        // With the IKE SA it goes as it was.
        if step.closing == nil { status.state = .deleted }
        step.act(.departing(status))
        childRecords.removeAll { $0.sa.id == record.sa.id }
        if record.hasOutbound { step.act(.removeOutbound(record.sa)) }
        step.act(.removeInbound(record.sa, atOnce: atOnce))
        if record.replaces != nil {
            // It never came to its place, so nobody heard of it.
            keepPredecessor(of: record, &step)
            return
        }
        if record.state != .rekeyed { step.report(.childDown(record.sa, reason: reason)) }
    }
}

extension ChildRecord {
    func status(usage: ChildUsage?) -> ChildSAStatus {
        ChildSAStatus(
            sa: sa, state: state, usage: usage ?? ChildUsage(), rekeyAt: rekeyAt ?? plannedRekeyAt, expiresAt: expiresAt
        )
    }
}
