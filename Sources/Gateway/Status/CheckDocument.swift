import Configuration
import IPsec

/// The document of `sluice check --xfrm-batch --json`: what a configuration would set up. Never a key.
package struct CheckDocument: Codable, Hashable, Sendable {
    package struct Association: Codable, Hashable, Sendable {
        package var spi: String
        package var source: String
        package var destination: String
        package var requestIdentifier: UInt32
        package var mode: String
        package var transform: String
        package var encapsulation: String?
        package var extendedSequenceNumbers: Bool
        /// Packets; 0 = off.
        package var replayWindow: Int
        package var selectors: [String]
        /// Largest inner packet when the way to the peer carries 1500 bytes.
        package var innerMtu: Int
    }

    package struct Policy: Codable, Hashable, Sendable {
        package var direction: String
        package var selector: String
        package var action: String
        package var priority: UInt32
    }

    package var associations: [Association]
    package var policies: [Policy]
    package var warnings: [String]
    /// Lines that are not served.
    package var errors: [String]

    package init(_ configuration: ManualConfiguration) {
        associations = configuration.states.map { state in
            Association(
                spi: state.spi.description, source: state.source.description,
                destination: state.destination.description,
                requestIdentifier: state.requestID, mode: state.mode.rawValue, transform: state.transform.name,
                encapsulation: state.encapsulation.map { "udp \($0.sourcePort) \($0.destinationPort)" },
                extendedSequenceNumbers: state.extendedSequenceNumbers, replayWindow: state.replayWindow,
                selectors: state.selectors.map(\.description), innerMtu: state.innerMTU(pathMTU: 1500))
        }
        policies = configuration.policies.map { policy in
            Policy(
                direction: policy.direction.rawValue, selector: policy.selector.description,
                action: policy.action.description, priority: policy.priority)
        }
        warnings = configuration.warnings.map(\.description)
        errors = configuration.errors.map(\.description)
    }
}
