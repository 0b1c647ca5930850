import ControlPlane
import IKEv2
import Packets

/// The state of negotiations: all IKE SAs with their CHILD_SAs, and what happened on the way.
package struct NegotiationStatus: Codable, Hashable, Sendable {
    package var ikeAssociations: [IKEAssociationStatus]
    /// Since the start of the gateway; `half_open` and `sessions` are as of now.
    package var counters: [EventCount]
}

/// A figure with a name of its own.
package struct EventCount: Codable, Hashable, Sendable {
    package var name: String
    package var count: UInt64
}

/// One IKE SA.
package struct IKEAssociationStatus: Codable, Hashable, Sendable {
    /// For `sluice terminate --ike-id`.
    package var identifier: UInt32
    /// Absent while the responder does not know it yet.
    package var connection: String?
    /// `connecting`, `established`, `rekeying`, `rekeyed` or `deleting`.
    package var state: String
    /// `initiator` or `responder`.
    package var role: String
    /// 16 hexadecimal digits each.
    package var initiatorSPI: String
    package var responderSPI: String
    /// Address and UDP port.
    package var local: String
    package var remote: String
    package var localIdentity: String?
    package var remoteIdentity: String?
    /// `here`, `peer` or `both`; absent: there is no NAT.
    package var nat: String?
    /// The algorithms in strongSwan's notation.
    package var algorithms: String?
    /// Seconds.
    package var establishedSeconds: Int?
    package var rekeyInSeconds: Int?
    package var reauthenticationInSeconds: Int?
    /// Since the last authentic message of the peer.
    package var silentSeconds: Int?
    package var activeTasks: [String]
    package var queuedTasks: [String]
    package var children: [ChildAssociationStatus]

    enum CodingKeys: String, CodingKey {
        case identifier, connection, state, role
        case initiatorSPI = "initiatorSpi"
        case responderSPI = "responderSpi"
        case local, remote, localIdentity, remoteIdentity, nat, algorithms, establishedSeconds, rekeyInSeconds
        case reauthenticationInSeconds, silentSeconds, activeTasks, queuedTasks, children
    }
}

/// One CHILD_SA: the two SAs of `security_associations` with these SPIs.
package struct ChildAssociationStatus: Codable, Hashable, Sendable {
    /// For `sluice terminate --child-id`.
    package var identifier: UInt32
    package var name: String
    /// `installed`, `rekeying`, `rekeyed` or `deleting`.
    package var state: String
    package var mode: String
    package var requestIdentifier: UInt32
    /// `0x` and eight hexadecimal digits.
    package var inboundSPI: String
    package var outboundSPI: String
    package var encapsulated: Bool
    /// The algorithms in strongSwan's notation, with the group of its own key exchange.
    package var algorithms: String
    package var extendedSequenceNumbers: Bool
    package var localSelectors: [String]
    package var remoteSelectors: [String]
    package var inboundPackets: UInt64
    package var inboundBytes: UInt64
    package var outboundPackets: UInt64
    package var outboundBytes: UInt64
    package var establishedSeconds: Int
    package var rekeyInSeconds: Int?
    package var expiresInSeconds: Int?

    enum CodingKeys: String, CodingKey {
        case identifier, name, state, mode, requestIdentifier
        case inboundSPI = "inboundSpi"
        case outboundSPI = "outboundSpi"
        case encapsulated, algorithms, extendedSequenceNumbers, localSelectors, remoteSelectors, inboundPackets
        case inboundBytes, outboundPackets, outboundBytes, establishedSeconds, rekeyInSeconds, expiresInSeconds
    }
}

extension NegotiationStatus {
    /// The status of a running service, on its event loop.
    init(_ service: IKEService) {
        self.init(
            service.manager.statuses(), now: service.now, manager: service.manager.counters,
            datagrams: service.datagrams)
    }

    /// `now` is the manager's clock, in nanoseconds.
    init(
        _ statuses: [IKESAStatus], now: Instant, manager: ManagerCounters, datagrams: IKEDatagramCounters
    ) {
        ikeAssociations = statuses.map { IKEAssociationStatus($0, now: now) }
        counters =
            NegotiationMetrics.all.map { EventCount(name: $0.name, count: $0.read(manager)) }
            + NegotiationMetrics.sockets.listed.map { EventCount(name: $0.name, count: $0.read(datagrams)) }
    }
}

extension IKEAssociationStatus {
    init(_ status: IKESAStatus, now: Instant) {
        identifier = status.id
        connection = status.connectionName.isEmpty ? nil : status.connectionName
        state = status.state.rawValue.lowercased()
        role = status.isInitiator ? "initiator" : "responder"
        initiatorSPI = Moments.digits(status.initiatorSPI, count: 16)
        responderSPI = Moments.digits(status.responderSPI, count: 16)
        local = status.path.local.description
        remote = status.path.remote.description
        localIdentity = status.localIdentity.map { "\($0)" }
        remoteIdentity = status.remoteIdentity.map { "\($0)" }
        nat =
            switch (status.hasLocalNAT, status.hasRemoteNAT) {
            case (true, true): "both"
            case (true, false): "here"
            case (false, true): "peer"
            case (false, false): nil
            }
        let parts = [status.suite?.description, status.function?.name, status.keyExchange?.name].compactMap(\.self)
        algorithms = parts.isEmpty ? nil : parts.joined(separator: "-")
        establishedSeconds = status.establishedAt.map { Moments.seconds(from: $0, to: now) }
        rekeyInSeconds = status.rekeyAt.map { Moments.seconds(from: now, to: $0) }
        reauthenticationInSeconds = status.reauthenticateAt.map { Moments.seconds(from: now, to: $0) }
        silentSeconds = status.lastReceivedAt.map { Moments.seconds(from: $0, to: now) }
        activeTasks = status.activeTasks
        queuedTasks = status.queuedTasks
        children = status.children.map { ChildAssociationStatus($0, now: now) }
    }
}

extension ChildAssociationStatus {
    init(_ status: ChildSAStatus, now: Instant) {
        let sa = status.sa
        identifier = sa.id
        name = sa.child.name
        state = status.state.rawValue.lowercased()
        mode = sa.mode.rawValue
        requestIdentifier = sa.requestID
        inboundSPI = sa.inboundSPI.description
        outboundSPI = sa.outboundSPI.description
        encapsulated = sa.isEncapsulated
        algorithms = [sa.transform.name, sa.keyExchange?.name].compactMap(\.self).joined(separator: "-")
        extendedSequenceNumbers = sa.extendedSequenceNumbers
        localSelectors = sa.localSelectors.map { "\($0)" }
        remoteSelectors = sa.remoteSelectors.map { "\($0)" }
        inboundPackets = status.usage.inboundPackets
        inboundBytes = status.usage.inboundBytes
        outboundPackets = status.usage.outboundPackets
        outboundBytes = status.usage.outboundBytes
        establishedSeconds = Moments.seconds(from: sa.establishedAt, to: now)
        rekeyInSeconds = status.rekeyAt.map { Moments.seconds(from: now, to: $0) }
        expiresInSeconds = status.expiresAt.map { Moments.seconds(from: now, to: $0) }
    }
}

private enum Moments {
    /// Whole seconds between two moments in nanoseconds; 0 when the second is not later.
    static func seconds(from first: Instant, to second: Instant) -> Int {
        max(second - first, .zero).wholeSeconds
    }

    static func digits(_ number: some UnsignedInteger, count: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: max(0, count - digits.count)) + digits
    }
}

/// The text of it, as aligned tables.
extension NegotiationStatus {
    /// Empty when there is nothing to tell.
    func text() -> [String] {
        var sections: [String] = []
        if !ikeAssociations.isEmpty { sections.append("IKE SAs\n" + sessionsTable.text()) }
        if ikeAssociations.contains(where: { !$0.children.isEmpty }) {
            sections.append("CHILD_SAs\n" + childrenTable.text())
        }
        let happened = counters.filter { $0.count > 0 }
        if !happened.isEmpty {
            let words = happened.map { "\($0.name) \(HumanText.count($0.count))" }
            sections.append("IKE so far: \(words.joined(separator: ", "))\n")
        }
        return sections
    }

    private var sessionsTable: TextTable {
        var table = TextTable([
            .right("id"), .left("connection"), .left("state"), .left("role"), .left("local"), .left("remote"),
            .left("local identity"), .left("remote identity"), .left("algorithms"), .left("nat"), .right("age"),
            .right("rekey in"), .left("tasks"),
        ])
        for session in ikeAssociations {
            table.append([
                "\(session.identifier)", session.connection ?? "-", session.state, session.role, session.local,
                session.remote, session.localIdentity ?? "-", session.remoteIdentity ?? "-",
                session.algorithms ?? "-", session.nat ?? "no", Self.duration(session.establishedSeconds),
                Self.duration(session.rekeyInSeconds),
                (session.activeTasks + session.queuedTasks).joined(separator: " "),
            ])
        }
        return table
    }

    private var childrenTable: TextTable {
        var table = TextTable([
            .right("id"), .left("child"), .right("of"), .left("state"), .left("spi in"), .left("spi out"),
            .right("reqid"), .left("algorithms"), .left("local"), .left("remote"), .right("packets in"),
            .right("packets out"), .right("age"), .right("rekey in"), .right("expires in"),
        ])
        for session in ikeAssociations {
            for child in session.children {
                table.append([
                    "\(child.identifier)", child.name, "\(session.identifier)", child.state, child.inboundSPI,
                    child.outboundSPI, "\(child.requestIdentifier)", child.algorithms,
                    child.localSelectors.joined(separator: " "), child.remoteSelectors.joined(separator: " "),
                    HumanText.count(child.inboundPackets), HumanText.count(child.outboundPackets),
                    Self.duration(child.establishedSeconds), Self.duration(child.rekeyInSeconds),
                    Self.duration(child.expiresInSeconds),
                ])
            }
        }
        return table
    }

    private static func duration(_ seconds: Int?) -> String {
        seconds.map { HumanText.duration(seconds: $0) } ?? "-"
    }
}
