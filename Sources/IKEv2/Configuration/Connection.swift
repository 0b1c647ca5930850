import Cryptography
import IPsec
import Packets

/// One peer, or a kind of peers: a section of `connections` in swanctl.conf. Times are in seconds, 0 is "never".
package struct Connection: Hashable, Sendable {
    /// Whether long IKE messages are cut to pieces (RFC 7383).
    package enum Fragmentation: String, Hashable, Sendable, CaseIterable {
        /// Announce it, and use it with a peer that does too.
        case yes
        /// Take fragments, send none.
        case accept
        /// The same as `yes`: without asking one fragments in IKEv1 only.
        case force
        /// Announce nothing and send none; what comes is taken all the same.
        case no
    }

    /// IKE SAs without a first CHILD_SA (RFC 6023).
    package enum Childless: String, Hashable, Sendable, CaseIterable {
        /// Childless IKE SAs only when the peer wants it.
        case allow
        /// Childless IKE SAs as initiator too, if the peer can.
        case prefer
        /// Childless IKE SAs and nothing else.
        case force
        case never
    }

    /// The occasions when our certificate is sent.
    package enum SendCertificate: String, Hashable, Sendable, CaseIterable {
        case ifAsked = "ifasked"
        case always
        case never
    }

    /// The treatment of a second IKE SA with the same identities.
    package enum Uniqueness: String, Hashable, Sendable, CaseIterable {
        /// The earlier one is replaced by an INITIAL_CONTACT only.
        case no
        /// The earlier one is not even replaced by an INITIAL_CONTACT.
        case never
        /// The earlier one stays, the new one is refused.
        case keep
        /// The new one replaces the earlier one.
        case replace
    }

    package var name: String
    /// Our addresses; none: any.
    package var localAddresses: [AddressPattern] = []
    /// The peer's addresses; none: any, which makes us a responder only.
    package var remoteAddresses: [AddressPattern] = []
    /// 500 stands for 500 before and 4500 after NAT detection; another one is used for both.
    package var localPort: UInt16 = IPsecPort.keyExchange
    package var remotePort: UInt16 = IPsecPort.keyExchange
    /// The proposals in order of preference; never empty.
    package var proposals: [IKEProposal]
    package var local: LocalAuthentication
    package var remote: RemoteAuthentication
    package var children: [Child] = []
    /// The children that CHILD_SAs are made for.
    package var negotiated: [Child] { children.filter(\.isNegotiated) }
    /// Whether it is not served, for a fault in its configuration: nobody is called, nobody is let in. All its children
    /// are refused.
    package var isRefused = false
    /// Pretend that there is a NAT, so that ESP is always in UDP (`encap`).
    package var forcesEncapsulation = false
    package var fragmentation = Fragmentation.yes
    package var childless = Childless.allow
    package var sendsCertificateRequest = true
    package var sendCertificate = SendCertificate.ifAsked
    package var unique = Uniqueness.no
    /// Attempts of a whole negotiation; 0: forever.
    package var keyingTries: UInt32 = 1
    /// Silence after which the peer is asked whether it lives.
    package var dpdDelay: UInt64 = 0
    package var rekeyTime: UInt64 = 14_400
    package var reauthenticationTime: UInt64 = 0
    /// The time from the soft to the hard limit.
    package var overTime: UInt64 = 1_440
    /// Rekeying and reauthentication begin up to so much earlier, by chance.
    package var randomTime: UInt64 = 1_440

    package init(name: String, proposals: [IKEProposal], local: LocalAuthentication, remote: RemoteAuthentication) {
        self.name = name
        self.proposals = proposals
        self.local = local
        self.remote = remote
    }
}

/// One item of `local_addrs` or `remote_addrs`.
package enum AddressPattern: Hashable, Sendable {
    /// An address, a subnet or a range.
    case range(AddressRange)
    /// A host name, resolved each time that we initiate.
    case name(String)
}

extension AddressPattern: CustomStringConvertible {
    package var description: String {
        switch self {
        case .range(let range) where range.first == range.last: "\(range.first)"
        case .range(let range): "\(range)"
        case .name(let name): name
        }
    }
}

/// Our proof of who we are.
package struct LocalAuthentication: Hashable, Sendable {
    package var method: AuthenticationKind
    /// Our identity; nil: the certificate's subject, else our address.
    package var identity: Identity?
    /// Ours to choose from; none: any for which there is a private key.
    package var certificates: [Certificate] = []
    /// Raw public keys of ours.
    package var publicKeys: [PublicKey] = []

    package init(method: AuthenticationKind, identity: Identity? = nil) {
        self.method = method
        self.identity = identity
    }
}

/// The proof that we want of the peer.
package struct RemoteAuthentication: Hashable, Sendable {
    package var method: AuthenticationKind
    /// Demands on the peer's keys and certificates; nil: whatever is accepted at all.
    package var chain: ChainConstraints?
    /// May have wildcards.
    package var identity = Identity.any
    /// End-entity certificates that are accepted; none: any that an authority vouches for.
    package var certificates: [Certificate] = []
    /// Authorities that are accepted; none: all that are loaded.
    package var authorities: [Certificate] = []
    /// Raw public keys that are accepted.
    package var publicKeys: [PublicKey] = []
    package var revocation = RevocationPolicy.relaxed

    package init(method: AuthenticationKind, identity: Identity = .any) {
        self.method = method
        self.identity = identity
    }
}

/// `auth` of a `local` or `remote` section.
package enum AuthenticationKind: Hashable, Sendable {
    case preSharedKey
    /// Certificates or raw public keys. `schemes` restricts the signatures; none: whatever fits key and peer.
    case publicKey(schemes: [SignatureScheme])
}
