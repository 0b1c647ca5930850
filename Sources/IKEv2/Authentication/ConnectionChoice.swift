import IKEv2Messages

extension PeerAuthentication {
    /// The connections of a responder that are for this peer, the closest first; the order stays among equals. `wanted`:
    /// whom the peer wants to talk to (its IDr), nil when it does not say.
    public static func connections(
        _ candidates: [Connection], for peer: Identity, wanted: Identity?
    ) -> [Connection] {
        let fitting = candidates.compactMap { connection -> (Connection, Int, Int)? in
            guard let remote = peer.matches(connection.remote.identity) else { return nil }
            guard let wanted, let own = connection.local.identity, own != .any else { return (connection, remote, 0) }
            return wanted.matches(own).map { (connection, remote, $0 + 1) }
        }
        // `sorted` is stable only by chance.
        return fitting.enumerated().sorted { left, right in
            (right.element.1, right.element.2, left.offset) < (left.element.1, left.element.2, right.offset)
        }.map(\.element.0)
    }

    /// Connections that are spelt out; a log record has to end somewhere.
    private static let candidatesShown = 8

    /// Why there is none.
    public static func explainNoConnection(
        _ candidates: [Connection], for peer: IdentificationPayload?, wanted: IdentificationPayload?
    ) -> Explanation {
        func text(_ payload: IdentificationPayload?) -> String {
            payload.map { Identity($0)?.description ?? "of type \($0.type), with data that is none" } ?? "not said"
        }
        var configured = candidates.prefix(candidatesShown).map {
            "connection \($0.name): remote.id = \($0.remote.identity), local.id = "
                + ($0.local.identity.map(\.description) ?? "not set")
        }
        if candidates.count > candidatesShown {
            configured.append("and \(candidates.count - candidatesShown) more connections")
        }
        return Explanation(
            "authentication failed: no connection is for this peer",
            details: ["identities tried: \(text(peer)) (peer), \(text(wanted)) (here)"] + configured,
            remedy: remedy(candidates, peer))
    }

    /// What to write, if the peer's identity is one that can be written.
    private static func remedy(_ candidates: [Connection], _ peer: IdentificationPayload?) -> String {
        guard let identity = peer.flatMap(Identity.init) else {
            return "let the peer send a name, an address, a distinguished name or a key id as its identity"
        }
        return candidates.first.map { "write connections.\($0.name).remote.id = \(identity.settingText)" }
            ?? "add a connection for the peer"
    }
}
