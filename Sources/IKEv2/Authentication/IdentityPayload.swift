import Cryptography
import IKEv2Messages
import Packets

extension Identity {
    /// Who a peer says it is; nil for types that are unknown here and data that does not fit its type. A domain name may
    /// have blanks: peers that send whatever text they are given use this type for it.
    public init?(_ payload: IdentificationPayload) {
        let data = payload.data
        switch payload.type {
        case .ipv4, .ipv6:
            let family: AddressFamily = payload.type == .ipv4 ? .ipv4 : .ipv6
            guard let address = IPAddress(networkOrder: data), address.family == family else { return nil }
            self = .address(address)
        case .fullyQualifiedDomainName:
            guard let name = Self.text(data) else { return nil }
            self = .domainName(name)
        case .emailAddress:
            guard let address = Self.text(data) else { return nil }
            self = .email(address)
        case .distinguishedName:
            guard let name = DistinguishedName(der: data) else { return nil }
            self = .distinguishedName(name)
        case .keyID:
            if data.isEmpty { return nil }
            self = .keyID(data)
        default: return nil
        }
    }

    private static func text(_ data: [UInt8]) -> String? {
        guard let text = String(validating: data, as: UTF8.self), isName(text) else { return nil }
        return text
    }

    /// Whether a domain name or e-mail address can be this. Names with control characters are none: they would end up in
    /// logs.
    static func isName(_ text: String) -> Bool { !text.isEmpty && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f } }

    /// nil for `%any`.
    public var payload: IdentificationPayload? {
        switch self {
        case .any: nil
        case .address(let address):
            IdentificationPayload(type: address.family == .ipv4 ? .ipv4 : .ipv6, data: address.bytes)
        case .domainName(let name): IdentificationPayload(type: .fullyQualifiedDomainName, data: Array(name.utf8))
        case .email(let address): IdentificationPayload(type: .emailAddress, data: Array(address.utf8))
        case .distinguishedName(let name): IdentificationPayload(type: .distinguishedName, data: name.der)
        case .keyID(let bytes): IdentificationPayload(type: .keyID, data: bytes)
        }
    }
}

extension IPAddress {
    /// 4 or 16 bytes in network order; nil for any other count.
    init?(networkOrder bytes: [UInt8]) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        func number(_ part: ArraySlice<UInt8>) -> UInt64 { part.reduce(0) { $0 << 8 | UInt64($1) } }
        if bytes.count == 4 {
            self.init(ipv4: UInt32(truncatingIfNeeded: number(bytes[...])))
        } else {
            self.init(ipv6High: number(bytes[..<8]), low: number(bytes[8...]))
        }
    }

    /// In network order, 4 or 16.
    var bytes: [UInt8] {
        let words = family == .ipv4 ? [low << 32] : [high, low]
        return words.flatMap { word in
            stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> UInt64($0)) }
        }.prefix(family.byteCount).map(\.self)
    }
}
