import Configuration
import IPsec
import Logging
import Packets
import Policy

/// The SAs that were keyed by hand: installed once, looked after, removed when their time is up, and without service while
/// the host does not have the address that they send from.
struct ManualSAs {
    private let builder: SnapshotBuilder
    private let logger: Logger
    private var watch = AssociationWatch()
    private var suspension = SuspendedSAs()
    private var isEmpty: Bool

    /// Adds them and their policies to the builder. Throws what the configuration does not allow.
    ///
    /// - Parameters:
    ///   - file: where the configuration is from, for errors.
    ///   - addresses: the host's own.
    init(
        _ configuration: ManualConfiguration, _ associations: AssociationSet, file: String?,
        addresses: Set<IPAddress>, in builder: SnapshotBuilder, logger: Logger
    ) throws {
        self.builder = builder
        self.logger = logger
        isEmpty = associations.inbound.isEmpty && associations.outbound.isEmpty
        do {
            try builder.setPolicies(configuration.policies)
            for association in associations.inbound { try builder.addInbound(association) }
            for association in associations.outbound { try builder.addOutbound(association) }
        } catch {
            throw GatewayError(.configuration, file, cause: error)
        }
        for state in associations.foreign {
            logger.warning(
                "SA is neither to nor from this host, and no policy names it",
                metadata: [
                    "spi": "\(state.spi)", "source": "\(state.source)", "destination": "\(state.destination)",
                ])
        }
        follow(addresses, serving: associations.outbound)
        guard let file else { return }
        logger.info(
            "configuration loaded",
            metadata: [
                "file": "\(file)", "policies": "\(configuration.policies.count)",
                "inbound": "\(associations.inbound.count)", "outbound": "\(associations.outbound.count)",
            ])
    }

    /// Outbound SAs that workers do not have.
    var suspended: [OutboundSA] { suspension.all }

    /// The host has these addresses now. `serving`: the outbound SAs that workers have.
    mutating func follow(_ addresses: Set<IPAddress>, serving: [OutboundSA]) {
        guard !isEmpty else { return }
        suspension.follow(addresses, serving: serving, in: builder, logger)
    }

    /// Tells of events, and removes SAs whose time is up; called once a second. True: the builder has changed.
    mutating func look(_ current: Snapshot, now: UInt64) -> Bool {
        guard !isEmpty else { return false }
        var isChanged = false
        for association in current.outboundAssociations + suspension.all where association.parameters.isManual {
            let isOver = watch.look(
                ObjectIdentifier(association), association.parameters, .outbound, events: association.events,
                status: { association.status(now: now) }, logger: logger)
            guard isOver else { continue }
            watch.forget(ObjectIdentifier(association))
            isChanged = suspension.remove(association) || builder.removeOutbound(association) || isChanged
        }
        for association in current.inboundAssociations where association.parameters.isManual {
            let isOver = watch.look(
                ObjectIdentifier(association), association.parameters, .inbound, events: association.events,
                status: { association.status(now: now) }, logger: logger)
            guard isOver else { continue }
            watch.forget(ObjectIdentifier(association))
            isChanged = builder.removeInbound(spi: association.parameters.spi) || isChanged
        }
        return isChanged
    }
}
