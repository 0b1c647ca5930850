import Packets

/// Addresses that `dynamic` stands for in the selectors of an IKE SA's children: on each side the leased one if there is
/// one, else that of the IKE endpoint.
package struct SelectorContext: Hashable, Sendable {
    package let local: IPAddress
    package let remote: IPAddress

    package init(_ path: Path, leased: LeasedAddresses = LeasedAddresses()) {
        local = leased.local ?? path.local.address
        remote = leased.remote ?? path.remote.address
    }
}

/// Virtual addresses of the two sides of an IKE SA; nil: that side has its own.
package struct LeasedAddresses: Hashable, Sendable {
    /// The one that the peer has given to us.
    package var local: IPAddress?
    /// The one that the peer has from us.
    package var remote: IPAddress?

    package init(local: IPAddress? = nil, remote: IPAddress? = nil) {
        self.local = local
        self.remote = remote
    }
}

extension Session {
    /// The meaning of `dynamic` for children that are negotiated now.
    func selectorContext(_ environment: any SessionEnvironment) -> SelectorContext {
        SelectorContext(path, leased: environment.leasedAddresses(of: self))
    }
}
