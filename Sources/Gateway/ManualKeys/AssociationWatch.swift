import IPsec
import Logging

/// Tells of each event of an SA once, and which SAs have outlived their time.
///
/// Workers notice limits only when packets come; time passes without them, so the control loop looks once a second.
struct AssociationWatch {
    private var told: [ObjectIdentifier: SAEvents] = [:]

    /// Logs what is new, and returns whether the SA is to be removed: its time is up.
    mutating func look(
        _ identity: ObjectIdentifier, _ parameters: SAParameters, _ direction: SAStatus.Direction, events: SAEvents,
        status: () -> SAStatus, logger: Logger
    ) -> Bool {
        var events = events
        let lifetime = parameters.lifetime
        if lifetime.isTimed { events.formUnion(Self.timeEvents(lifetime, status())) }
        let known = told[identity] ?? []
        if events != known {
            told[identity] = events
            Self.log(events.subtracting(known), parameters, direction, logger)
        }
        return events.contains(.hardTime)
    }

    mutating func forget(_ identity: ObjectIdentifier) { told[identity] = nil }

    private static func timeEvents(_ lifetime: Lifetime, _ status: SAStatus) -> SAEvents {
        func reached(_ seconds: UInt64?, _ elapsed: UInt64?) -> Bool {
            guard let seconds, let elapsed else { return false }
            return elapsed / 1_000_000_000 >= seconds
        }
        var events: SAEvents = []
        if reached(lifetime.softSecondsAfterAdd, status.age) || reached(lifetime.softSecondsAfterUse, status.inUse) {
            events.insert(.softTime)
        }
        if reached(lifetime.hardSecondsAfterAdd, status.age) || reached(lifetime.hardSecondsAfterUse, status.inUse) {
            events.insert(.hardTime)
        }
        return events
    }

    private static func log(
        _ events: SAEvents, _ parameters: SAParameters, _ direction: SAStatus.Direction, _ logger: Logger
    ) {
        let metadata: Logger.Metadata = [
            "spi": "\(parameters.spi)", "direction": "\(direction.rawValue)", "source": "\(parameters.source)",
            "destination": "\(parameters.destination)",
        ]
        // A hard limit says all that its soft limit would.
        var events = events
        for (hard, soft) in [
            (SAEvents.hardBytes, SAEvents.softBytes), (.hardPackets, .softPackets), (.hardTime, .softTime),
        ]
        where events.contains(hard) { events.remove(soft) }
        for (event, level, message) in messages where events.contains(event) {
            logger.log(level: level, "\(message)", metadata: metadata)
        }
    }

    private static let messages: [(SAEvents, Logger.Level, String)] = [
        (.firstUse, .info, "SA carried its first packet"),
        (.softBytes, .warning, "SA reached its soft limit of bytes: replace it soon"),
        (.softPackets, .warning, "SA reached its soft limit of packets: replace it soon"),
        (.softTime, .warning, "SA reached its soft limit of time: replace it soon"),
        (.hardBytes, .error, "SA reached its hard limit of bytes: it carries nothing more; replace it"),
        (.hardPackets, .error, "SA reached its hard limit of packets: it carries nothing more; replace it"),
        (.hardTime, .error, "SA reached its hard limit of time and is removed; replace it"),
        (.sequenceExhausted, .error, "SA used its last sequence number: it sends nothing more; replace it"),
    ]
}

extension Lifetime {
    /// Whether time alone can end it.
    var isTimed: Bool {
        softSecondsAfterAdd != nil || hardSecondsAfterAdd != nil || softSecondsAfterUse != nil
            || hardSecondsAfterUse != nil
    }
}
