import Configuration
import IPsec

/// The document of `sluice check --xfrm-batch --json`: what a configuration would set up. Never a key.
public struct CheckDocument: Codable, Hashable, Sendable {
    public struct Association: Codable, Hashable, Sendable {
        public var spi: String
        public var source: String
        public var destination: String
        public var requestIdentifier: UInt32
        public var mode: String
        public var transform: String
        public var encapsulation: String?
        public var extendedSequenceNumbers: Bool
        /// Packets; 0 = off.
        public var replayWindow: Int
        public var selectors: [String]
        /// Largest inner packet when the way to the peer carries 1500 bytes.
        public var innerMtu: Int
    }

    public struct Policy: Codable, Hashable, Sendable {
        public var direction: String
        public var selector: String
        public var action: String
        public var priority: UInt32
    }

    public var associations: [Association]
    public var policies: [Policy]
    public var warnings: [String]
    /// Lines that are not served.
    public var errors: [String]

    public init(_ configuration: ManualConfiguration) {
        associations = configuration.states.map { state in
            Association(
                spi: state.spi.spiText, source: state.source.description, destination: state.destination.description,
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
