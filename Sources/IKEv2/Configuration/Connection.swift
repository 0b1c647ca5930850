import Cryptography
import IPsec
import Packets

/// One peer, or a kind of peers: a section of `connections` in swanctl.conf. Times are in seconds, 0 is "never".
public struct Connection: Hashable, Sendable {
    /// Whether long IKE messages are cut to pieces (RFC 7383).
    public enum Fragmentation: String, Hashable, Sendable, CaseIterable {
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
    public enum Childless: String, Hashable, Sendable, CaseIterable {
        /// Childless IKE SAs only when the peer wants it.
        case allow
        /// Childless IKE SAs as initiator too, if the peer can.
        case prefer
        /// Childless IKE SAs and nothing else.
        case force
        case never
    }

    /// The occasions when our certificate is sent.
    public enum SendCertificate: String, Hashable, Sendable, CaseIterable {
        case ifAsked = "ifasked"
        case always
        case never
    }

    /// The treatment of a second IKE SA with the same identities.
    public enum Uniqueness: String, Hashable, Sendable, CaseIterable {
        /// The earlier one is replaced by an INITIAL_CONTACT only.
        case no
        /// The earlier one is not even replaced by an INITIAL_CONTACT.
        case never
        /// The earlier one stays, the new one is refused.
        case keep
        /// The new one replaces the earlier one.
        case replace
    }

    public var name: String
    /// Our addresses; none: any.
    public var localAddresses: [AddressPattern] = []
    /// The peer's addresses; none: any, which makes us a responder only.
    public var remoteAddresses: [AddressPattern] = []
    /// 500 stands for 500 before and 4500 after NAT detection; another one is used for both.
    public var localPort: UInt16 = 500
    public var remotePort: UInt16 = 500
    /// The proposals in order of preference; never empty.
    public var proposals: [IKEProposal]
    public var local: LocalAuthentication
    public var remote: RemoteAuthentication
    public var children: [Child] = []
    /// The children that CHILD_SAs are made for.
    public var negotiated: [Child] { children.filter(\.isNegotiated) }
    /// Whether it is not served, for a fault in its configuration: nobody is called, nobody is let in. All its children
    /// are refused.
    public var isRefused = false
    /// Pretend that there is a NAT, so that ESP is always in UDP (`encap`).
    public var forcesEncapsulation = false
    public var fragmentation = Fragmentation.yes
    public var childless = Childless.allow
    public var sendsCertificateRequest = true
    public var sendCertificate = SendCertificate.ifAsked
    public var unique = Uniqueness.no
    /// Attempts of a whole negotiation; 0: forever.
    public var keyingTries: UInt32 = 1
    /// Silence after which the peer is asked whether it lives.
    public var dpdDelay: UInt64 = 0
    public var rekeyTime: UInt64 = 14_400
    public var reauthenticationTime: UInt64 = 0
    /// The time from the soft to the hard limit.
    public var overTime: UInt64 = 1_440
    /// Rekeying and reauthentication begin up to so much earlier, by chance.
    public var randomTime: UInt64 = 1_440

    public init(name: String, proposals: [IKEProposal], local: LocalAuthentication, remote: RemoteAuthentication) {
        self.name = name
        self.proposals = proposals
        self.local = local
        self.remote = remote
    }
}

/// One item of `local_addrs` or `remote_addrs`.
public enum AddressPattern: Hashable, Sendable {
    /// An address, a subnet or a range.
    case range(AddressRange)
    /// A host name, resolved each time that we initiate.
    case name(String)
}

extension AddressPattern: CustomStringConvertible {
    public var description: String {
        switch self {
        case .range(let range) where range.first == range.last: "\(range.first)"
        case .range(let range): "\(range)"
        case .name(let name): name
        }
    }
}

/// Our proof of who we are.
public struct LocalAuthentication: Hashable, Sendable {
    public var method: AuthenticationKind
    /// Our identity; nil: the certificate's subject, else our address.
    public var identity: Identity?
    /// Ours to choose from; none: any for which there is a private key.
    public var certificates: [Certificate] = []
    /// Raw public keys of ours.
    public var publicKeys: [PublicKey] = []

    public init(method: AuthenticationKind, identity: Identity? = nil) {
        self.method = method
        self.identity = identity
    }
}

/// The proof that we want of the peer.
public struct RemoteAuthentication: Hashable, Sendable {
    public var method: AuthenticationKind
    /// Demands on the peer's keys and certificates; nil: whatever is accepted at all.
    public var chain: ChainConstraints?
    /// May have wildcards.
    public var identity = Identity.any
    /// End-entity certificates that are accepted; none: any that an authority vouches for.
    public var certificates: [Certificate] = []
    /// Authorities that are accepted; none: all that are loaded.
    public var authorities: [Certificate] = []
    /// Raw public keys that are accepted.
    public var publicKeys: [PublicKey] = []
    public var revocation = RevocationPolicy.relaxed

    public init(method: AuthenticationKind, identity: Identity = .any) {
        self.method = method
        self.identity = identity
    }
}

/// `auth` of a `local` or `remote` section.
public enum AuthenticationKind: Hashable, Sendable {
    case preSharedKey
    /// Certificates or raw public keys. `schemes` restricts the signatures; none: whatever fits key and peer.
    case publicKey(schemes: [SignatureScheme])
}
