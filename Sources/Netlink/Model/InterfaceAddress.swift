import CLinux
import Packets

/// An address of this host on an interface (`RTM_NEWADDR`).
package struct InterfaceAddress: Hashable, Sendable {
    package var interfaceIndex: UInt32
    /// Our own end; on a point-to-point link not the peer's.
    package var address: IPAddress
    package var prefixLength: UInt8
    /// The scope of the address.
    package var scope: Scope
    /// Duplicate address detection is still running, or has failed (RFC 4862 section 5.4): not to be used as a source.
    package var isTentative: Bool
    /// IPv4 only: another address of the same subnet came first and is preferred.
    package var isSecondary: Bool

    /// Scope of an address or a route, `RT_SCOPE_…`.
    package struct Scope: RawRepresentable, Hashable, Sendable {
        package var rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let universe = Scope(rawValue: 0)
        package static let site = Scope(rawValue: 200)
        package static let link = Scope(rawValue: 253)
        package static let host = Scope(rawValue: 254)
        package static let nowhere = Scope(rawValue: 255)
    }

    package init(
        interfaceIndex: UInt32, address: IPAddress, prefixLength: UInt8, scope: Scope = .universe,
        isTentative: Bool = false, isSecondary: Bool = false
    ) {
        self.interfaceIndex = interfaceIndex
        self.address = address
        self.prefixLength = prefixLength
        self.scope = scope
        self.isTentative = isTentative
        self.isSecondary = isSecondary
    }
}

extension InterfaceAddress {
    /// Reads the payload of `RTM_NEWADDR` or `RTM_DELADDR`; nil when malformed or of another family.
    init?(payload: UnsafeRawBufferPointer) {
        guard let fixed = payload.load(ifaddrmsg.self), let family = AddressFamily(kernel: fixed.ifa_family),
            Int(fixed.ifa_prefixlen) <= family.bitWidth
        else { return nil }
        var flags = UInt32(fixed.ifa_flags)
        var local: IPAddress?
        var other: IPAddress?
        for (type, value) in AttributeSequence(payload, behind: ifaddrmsg.self) {
            switch type {
            case Int(IFA_LOCAL): local = value.address(family)
            case Int(IFA_ADDRESS): other = value.address(family)
            case Int(IFA_FLAGS): flags = value.load(UInt32.self) ?? flags
            default: break
            }
        }
        // IFA_LOCAL is ours and IFA_ADDRESS the peer's; IPv6 without a peer has IFA_ADDRESS alone.
        guard let address = local ?? other else { return nil }
        let unusable = UInt32(IFA_F_TENTATIVE) | UInt32(IFA_F_DADFAILED)
        // IFA_F_SECONDARY means "temporary" (RFC 8981) for IPv6, which is no reason to avoid the address.
        self.init(
            interfaceIndex: fixed.ifa_index, address: address, prefixLength: fixed.ifa_prefixlen,
            scope: Scope(rawValue: fixed.ifa_scope),
            isTentative: flags & unusable != 0 && flags & UInt32(IFA_F_OPTIMISTIC) == 0,
            isSecondary: family == .ipv4 && flags & UInt32(IFA_F_SECONDARY) != 0)
    }
}
