import ControlPlane
import IKEv2

extension NegotiationStatus {
    /// Of a running service, on its event loop.
    init(_ service: IKEService) {
        self.init(
            service.manager.statuses(), now: service.now, manager: service.manager.counters,
            datagrams: service.datagrams)
    }

    /// `now` is the manager's clock, in nanoseconds.
    init(
        _ statuses: [IKESAStatus], now: UInt64, manager: ManagerCounters, datagrams: IKEDatagramCounters
    ) {
        ikeAssociations = statuses.map { IKEAssociationStatus($0, now: now) }
        counters =
            NegotiationMetrics.all.map { EventCount(name: $0.name, count: $0.read(manager)) }
            + NegotiationMetrics.sockets.listed.map { EventCount(name: $0.name, count: $0.read(datagrams)) }
    }
}

extension IKEAssociationStatus {
    init(_ status: IKESAStatus, now: UInt64) {
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
    init(_ status: ChildSAStatus, now: UInt64) {
        let sa = status.sa
        identifier = sa.id
        name = sa.child.name
        state = status.state.rawValue.lowercased()
        mode = sa.mode.rawValue
        requestIdentifier = sa.requestID
        inboundSPI = "0x" + Moments.digits(sa.inboundSPI, count: 8)
        outboundSPI = "0x" + Moments.digits(sa.outboundSPI, count: 8)
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
    static func seconds(from first: UInt64, to second: UInt64) -> Int {
        second > first ? Int(clamping: (second - first) / 1_000_000_000) : 0
    }

    static func digits(_ number: some UnsignedInteger, count: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: max(0, count - digits.count)) + digits
    }
}
