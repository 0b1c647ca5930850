import IPsec
import Logging
import Packets
import Policy

/// Outbound SAs keyed by hand whose source is not an address of this host, at the moment. Workers do not get them: nothing
/// leaves with an address that may be somebody else's by now, and what they would have carried is dropped. With the address
/// they come back.
struct SuspendedSAs {
    private(set) var all: [OutboundSA] = []

    /// The host has these addresses now.
    ///
    /// - Parameter serving: the outbound SAs that workers have.
    mutating func follow(
        _ addresses: Set<IPAddress>, serving: [OutboundSA], in builder: SnapshotBuilder, _ logger: Logger
    ) {
        let back = all.filter { addresses.contains($0.parameters.source) }
        let lost = serving.filter { $0.parameters.isManual && !addresses.contains($0.parameters.source) }
        for association in back where (try? builder.addOutbound(association)) != nil {
            all.removeAll { $0 === association }
            logger.info("SA sends again: its source is an address of this host", metadata: Self.words(association))
        }
        for association in lost where builder.removeOutbound(association) {
            all.append(association)
            logger.warning(
                "SA sends nothing: its source is not an address of this host; add it to an interface (ip address add)",
                metadata: Self.words(association))
        }
    }

    /// Its time is up.
    mutating func remove(_ association: OutboundSA) -> Bool {
        guard let index = all.firstIndex(where: { $0 === association }) else { return false }
        all.remove(at: index)
        return true
    }

    private static func words(_ association: OutboundSA) -> Logger.Metadata {
        let parameters = association.parameters
        return [
            "spi": "\(parameters.spi)", "source": "\(parameters.source)",
            "destination": "\(parameters.destination)",
        ]
    }
}
