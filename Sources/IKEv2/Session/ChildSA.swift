import Cryptography
import IPsec
import Packets

/// A CHILD_SA that was negotiated: both directions, with keys (RFC 7296 section 2.17).
package struct ChildSA: Sendable {
    /// Unique in this process, never used again; what swanctl calls the unique id.
    package let id: UInt32
    /// The child that it was made from.
    package let child: Child
    package let connectionName: String
    /// Ours, host order: in packets that the peer sends to us.
    package let inboundSPI: SPI
    /// The peer's, host order.
    package let outboundSPI: SPI
    package let mode: SAMode
    package let transform: ESPTransform
    package let extendedSequenceNumbers: Bool
    /// The group of its own key exchange, if there was one.
    package let keyExchange: KeyExchangeMethod?
    package let inboundKey: SecretBytes
    package let outboundKey: SecretBytes
    /// The selectors that were agreed on, as an outbound packet carries them: every pair of our side (source) and the
    /// peer's (destination).
    package let selectors: [TrafficSelector]
    /// Our side and the peer's on their own, as they were agreed and as they are shown.
    package let localSelectors: [SelectorSide]
    package let remoteSelectors: [SelectorSide]
    /// Joins SAs and policies; the same for all SAs that replace each other.
    package var requestID: UInt32
    /// Outer addresses, and the UDP ports of encapsulated ESP.
    package var path: Path
    package var isEncapsulated: Bool
    /// The time at which it was negotiated, of the manager's clock.
    package let establishedAt: Instant
    /// Soft and hard limits; a rekey is due at the soft one.
    package var lifetime: Lifetime

    package init(
        id: UInt32, child: Child, connectionName: String, inboundSPI: SPI, outboundSPI: SPI, mode: SAMode,
        transform: ESPTransform, extendedSequenceNumbers: Bool, keyExchange: KeyExchangeMethod?,
        inboundKey: SecretBytes, outboundKey: SecretBytes, selectors: [TrafficSelector],
        localSelectors: [SelectorSide], remoteSelectors: [SelectorSide], requestID: UInt32, path: Path,
        isEncapsulated: Bool, establishedAt: Instant, lifetime: Lifetime
    ) {
        self.id = id
        self.child = child
        self.connectionName = connectionName
        self.inboundSPI = inboundSPI
        self.outboundSPI = outboundSPI
        self.mode = mode
        self.transform = transform
        self.extendedSequenceNumbers = extendedSequenceNumbers
        self.keyExchange = keyExchange
        self.inboundKey = inboundKey
        self.outboundKey = outboundKey
        self.selectors = selectors
        self.localSelectors = localSelectors
        self.remoteSelectors = remoteSelectors
        self.requestID = requestID
        self.path = path
        self.isEncapsulated = isEncapsulated
        self.establishedAt = establishedAt
        self.lifetime = lifetime
    }

    /// Whether all packets of another SA are packets of this one.
    func covers(_ other: ChildSA) -> Bool {
        SelectorSide.cover(localSelectors, other.localSelectors)
            && SelectorSide.cover(remoteSelectors, other.remoteSelectors)
    }

    /// "10.1.0.0/16 === 10.2.0.0/24, 10.3.0.0/24".
    var selectorText: String { SelectorSide.text(localSelectors, remoteSelectors) }
}
