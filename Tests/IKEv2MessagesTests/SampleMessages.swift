import Packets

@testable import IKEv2Messages

/// SplitMix64: the same seed, the same messages.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: Int) { state = UInt64(truncatingIfNeeded: seed) &* 0x9E37_79B9_7F4A_7C15 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    mutating func bytes(_ count: ClosedRange<Int>) -> [UInt8] {
        (0..<Int.random(in: count, using: &self)).map { _ in UInt8.random(in: 0...255, using: &self) }
    }

    mutating func number<Integer: FixedWidthInteger & UnsignedInteger>(_: Integer.Type = Integer.self) -> Integer {
        Integer.random(in: 0...Integer.max, using: &self)
    }

    mutating func list<Element>(
        _ count: ClosedRange<Int>, _ make: (inout SeededGenerator) -> Element
    ) -> [Element] {
        (0..<Int.random(in: count, using: &self)).map { _ in make(&self) }
    }
}

// Every message that can be said, not every one that makes sense.
extension SeededGenerator {
    mutating func header(_ exchange: ExchangeType? = nil) -> IKEHeader {
        IKEHeader(
            initiatorSPI: number(), responderSPI: number(), exchange: exchange ?? ExchangeType(rawValue: number()),
            direction: Bool.random(using: &self) ? .request : .response,
            isFromInitiator: Bool.random(using: &self), messageID: number())
    }

    mutating func payloads(_ count: ClosedRange<Int> = 0...12) -> [Payload] { list(count) { $0.payload() } }

    mutating func payload() -> Payload { payload(kind: Int.random(in: 0..<16, using: &self)) }

    /// One of the sixteen cases of `Payload`.
    mutating func payload(kind: Int) -> Payload {
        switch kind {
        case 0: .securityAssociation(SecurityAssociationPayload(list(1...4) { $0.proposal() }))
        case 1: .keyExchange(KeyExchangePayload(method: .init(rawValue: number()), data: bytes(0...64)))
        case 2: .identificationInitiator(IdentificationPayload(type: .init(rawValue: number()), data: bytes(0...40)))
        case 3: .identificationResponder(IdentificationPayload(type: .init(rawValue: number()), data: bytes(0...40)))
        case 4: .certificate(CertificatePayload(encoding: .init(rawValue: number()), data: bytes(0...300)))
        case 5: .certificateRequest(CertificateRequestPayload(encoding: .x509Signature, data: bytes(0...60)))
        case 6: .authentication(AuthenticationPayload(method: .init(rawValue: number()), data: bytes(0...64)))
        case 7: .nonce(NoncePayload(bytes(16...256)))
        case 8: .notify(notify())
        case 9:
            .delete(
                Bool.random(using: &self)
                    ? .ikeSA : .childSAs(Bool.random(using: &self) ? .esp : .ah, list(0...5) { SPI($0.number()) }))
        case 10: .vendorID(VendorIDPayload(bytes(0...20)))
        case 11: .trafficSelectorInitiator(TrafficSelectorPayload(list(1...4) { $0.selector() }))
        case 12: .trafficSelectorResponder(TrafficSelectorPayload(list(1...4) { $0.selector() }))
        case 13:
            .configuration(
                ConfigurationPayload(
                    type: .init(rawValue: number()),
                    attributes: list(0...5) { .init(.init(rawValue: $0.number()), value: $0.bytes(0...17)) }))
        case 14: .extensibleAuthentication(EAPPayload(bytes(0...30)))
        default:
            .unknown(
                UnknownPayload(
                    type: .init(rawValue: UInt8.random(in: 54...255, using: &self)), data: bytes(0...30)))
        }
    }

    private mutating func notify() -> NotifyPayload {
        NotifyPayload(
            .init(rawValue: number()), protocolID: .init(rawValue: number()), spi: bytes(0...8), data: bytes(0...40))
    }

    private mutating func proposal() -> Proposal {
        let protocolID = ProtocolID(rawValue: UInt8.random(in: 1...5, using: &self))
        let spi: ClosedRange<Int> =
            switch protocolID {
            case .ike: Bool.random(using: &self) ? 0...0 : 8...8
            case .ah, .esp: 4...4
            default: 0...9
            }
        return Proposal(
            number: number(), protocolID: protocolID, spi: bytes(spi), transforms: list(0...6) { $0.transform() })
    }

    private mutating func transform() -> Transform {
        Transform(
            type: .init(rawValue: number()), id: number(),
            attributes: list(0...2) { generator in
                TransformAttribute(
                    type: .init(rawValue: generator.number()),
                    value: Bool.random(using: &generator)
                        ? .short(generator.number()) : .variable(generator.bytes(0...6)))
            })
    }

    private mutating func selector() -> TrafficSelectorPayload.Selector {
        func range(_ first: IPAddress, _ last: IPAddress) -> TrafficSelectorPayload.Selector? {
            AddressRangeSelector(
                protocolNumber: number(), firstPort: number(), lastPort: number(), firstAddress: first,
                lastAddress: last
            ).map { .range($0) }
        }
        let unknown = TrafficSelectorPayload.Selector.unknown(type: .securityLabel, data: bytes(1...9))
        return switch Int.random(in: 0...2, using: &self) {
        case 0: range(IPAddress(ipv4: number()), IPAddress(ipv4: number())) ?? unknown
        case 1:
            range(
                IPAddress(ipv6High: number(), low: number()), IPAddress(ipv6High: number(), low: number())) ?? unknown
        default: unknown
        }
    }
}

/// Hexadecimal text to bytes; what is no digit is layout.
func bytes(_ hexadecimal: String) -> [UInt8] {
    let digits = hexadecimal.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}
