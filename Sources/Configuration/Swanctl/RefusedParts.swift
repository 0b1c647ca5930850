import IKEv2
import Packets

// What becomes of a child or a connection with a fault: it is not served, and its packets stay closed as far as its
// selectors can be read. The rest of the file is served.

extension Child {
    /// The child as it is kept. Nothing is negotiated for it, but its packets leave through nothing else.
    /// - Parameter reach: which of its selectors say what its packets are.
    func refused(_ reach: SelectorReach) -> Child {
        var child = self
        child.isRefused = true
        // What cannot be read in full is not to let more pass than it should.
        if child.shunt == .pass { reach.clear(&child) }
        (child.startAction, child.closeAction, child.deadPeerAction) = (.none, .none, .clear)
        child.requestID = 0
        reach.narrow(&child)
        return child
    }
}

extension Connection {
    /// The connection as it is kept: nobody is called, and nobody is let in.
    func refused(_ reach: SelectorReach) -> Connection {
        var connection = self
        connection.isRefused = true
        connection.children = children.map { $0.isRefused ? $0 : $0.refused(reach) }
        return connection
    }
}

/// The selectors of a refused child that say by themselves which packets it is for.
struct SelectorReach {
    /// An interface or a mark chooses the packets (`if_id_out`, `mark_out`, `policies = no`): routes lead to it. A selector for
    /// every address then says nothing, and to close the host's whole traffic for it would be no boundary.
    var isChosenByRoute = false
    /// `vips`: our `dynamic` side is an address that the peer would assign.
    var hasAssignedLocal = false
    /// `pools`: the peer's is one that we would assign.
    var hasAssignedRemote = false
    /// Items of `local_ts` or `remote_ts` that cannot be read.
    private var isLocalUnreadable = false
    private var isRemoteUnreadable = false

    /// Leaves the child the selectors that mean something. What of a side cannot be read stands for every address where the
    /// other side is limited, and for nothing where it is not.
    func narrow(_ child: inout Child) {
        let (local, remote) = (child.localSelectors, child.remoteSelectors)
        child.localSelectors = side(local, isLocalUnreadable, beside: remote, isRemoteUnreadable, hasAssignedLocal)
        child.remoteSelectors = side(remote, isRemoteUnreadable, beside: local, isLocalUnreadable, hasAssignedRemote)
    }

    private func side(
        _ sides: [SelectorSide], _ isUnreadable: Bool, beside other: [SelectorSide], _ isOtherUnreadable: Bool,
        _ isAssigned: Bool
    ) -> [SelectorSide] {
        let isOtherLimited = !isOtherUnreadable && !other.contains(where: \.isForAll)
        var known = sides
        if isUnreadable {
            // Where nothing can be read, `dynamic` stands in its place.
            known.removeAll { $0 == .dynamic }
            if isOtherLimited { known += [SelectorSide(addresses: .any(.ipv4)), SelectorSide(addresses: .any(.ipv6))] }
        }
        return known.filter { side in
            if side.addresses == nil { return !isAssigned }
            return !(isChosenByRoute && side.isForAll && !isOtherLimited)
        }
    }

    func clear(_ child: inout Child) {
        child.localSelectors = []
        child.remoteSelectors = []
    }

    /// The reach that a connection's own keys give its children.
    init(connection reader: SectionReader) {
        isChosenByRoute = Self.isSet(["if_id_in", "if_id_out"], reader)
        hasAssignedLocal = reader.value("vips") != nil
        hasAssignedRemote = reader.value("pools") != nil
    }

    /// The reach with the keys of a child.
    func of(child reader: SectionReader) -> SelectorReach {
        var reach = self
        let isWithoutPolicies = reader.text("policies").map { KeyRule.no.contains($0.lowercased()) } ?? false
        if Self.isSet(["if_id_in", "if_id_out", "mark_in", "mark_out"], reader) || isWithoutPolicies {
            reach.isChosenByRoute = true
        }
        reach.isLocalUnreadable = Self.isUnreadable("local_ts", reader)
        reach.isRemoteUnreadable = Self.isUnreadable("remote_ts", reader)
        return reach
    }

    private static func isUnreadable(_ key: String, _ reader: SectionReader) -> Bool {
        reader.items(key).contains { (try? SelectorText.parse($0)) == nil }
    }

    private static func isSet(_ keys: [String], _ reader: SectionReader) -> Bool {
        keys.contains { key in reader.text(key).map { !KeyRule.nothing.contains($0.lowercased()) } ?? false }
    }
}

extension SelectorSide {
    fileprivate var isForAll: Bool { addresses.map { $0 == .any($0.family) } ?? false }
}
