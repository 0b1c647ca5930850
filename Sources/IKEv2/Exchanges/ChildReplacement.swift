import IPsec

// What becomes of a child whose rekey comes to nothing (RFC 7296 sections 1.3.3 and 2.8): it carries on until its hard
// limit, and before that it is tried
//
//     1. to rekey it once more, by a CREATE_CHILD_SA without REKEY_SA: some peers refuse only the former
//     2. to bring it up in a new IKE SA, whose first CHILD_SA needs no key exchange of its own
//     3. the same again, ever more rarely
//
// Only a child that nobody misses ends without a successor: nothing went through it, and nothing says that it is to start.

extension Session {
    /// A rekey came to nothing.
    func keepForNow(childID: UInt32, _ explanation: Explanation, _ step: inout Step) {
        guard let index = childIndex(id: childID) else { return }
        let name = childRecords[index].sa.child.name
        step.note(.warning, "child \(name) could not be rekeyed: \(explanation)")
        if childRecords[index].state == .rekeying { childRecords[index].state = .installed }
        guard isToBeRekeyed(childRecords[index]) else { return }
        childRecords[index].failedRekeys += 1
        let failures = childRecords[index].failedRekeys
        childRecords[index].rekeyAt = Self.retryTime(
            failures: failures, before: childRecords[index].expiresAt, step)
        if failures.isMultiple(of: 2), isWanted(childRecords[index].sa, step) {
            step.act(.successorWanted(children: [name]))
        }
    }

    /// A hard limit is reached. What is wanted is made anew, before the old one is deleted.
    func expireChild(_ record: ChildRecord, _ step: inout Step) {
        let isCurrent = record.state == .installed || record.state == .rekeying
        if isCurrent, isInUse, isWanted(record.sa, step), !isToBeDeleted(childID: record.sa.id) {
            enqueue(CreateChildExchange(successorOf: record.sa))
        }
        enqueueDelete(childID: record.sa.id, reason: "expired")
    }

    /// The IKE SA ends, or its rekey comes to nothing: all that is wanted has to come up elsewhere.
    func askForSuccessor(_ step: inout Step) {
        var names: [String] = []
        for sa in currentChildren where isWanted(sa, step) && !names.contains(sa.child.name) {
            names.append(sa.child.name)
        }
        if !names.isEmpty { step.act(.successorWanted(children: names)) }
    }

    /// Whether somebody would miss it.
    private func isWanted(_ sa: ChildSA, _ step: Step) -> Bool {
        if sa.child.startAction.starts || sa.child.closeAction.starts { return true }
        return step.environment.usage(of: sa).map { $0.inboundPackets > 0 || $0.outboundPackets > 0 } ?? false
    }

    /// Whether another SA of the same child is there and stays, for all packets or for that of `hint`.
    func hasChild(_ name: String, besides id: UInt32?, covering hint: TrafficSelector?) -> Bool {
        childRecords.contains { record in
            record.sa.child.name == name && record.sa.id != id && !isToBeDeleted(childID: record.sa.id)
                && (record.state == .installed || record.state == .rekeying)
                && (hint.map { packet in record.sa.selectors.contains { $0.contains(packet) } } ?? true)
        }
    }

    /// A limit wants new keys, or will.
    func isToBeRekeyed(_ record: ChildRecord) -> Bool {
        let child = record.sa.child
        return record.isDue || [child.time, child.bytes, child.packets].contains { $0.rekey > 0 }
    }

    /// When a rekey that came to nothing is tried again, nanoseconds: after 30 s, 1, 2, 4 and then 5 minutes, and several
    /// times before the hard limit.
    static func retryTime(failures: Int, before end: UInt64?, _ step: Step) -> UInt64 {
        var pause = min(UInt64.seconds(30) << UInt64(min(max(failures, 1) - 1, 4)), .seconds(300))
        if let end { pause = min(pause, (end > step.now ? end - step.now : 0) / 3) }
        return step.now.addingWithoutOverflow(max(pause, .seconds(1)))
    }
}
