import Cryptography
import IKEv2
import XDP

/// All that `sluice run` can be told. Every field has the default of its flag.
public struct GatewayOptions: Hashable, Sendable {
    /// Who does the cryptography.
    public enum Engine: String, CaseIterable, Sendable {
        /// The fastest that is installed.
        case auto
        case openssl

        /// Who makes the ciphers.
        public var maker: any ESPEngine {
            switch self {
            case .auto, .openssl: OpenSSLEngine()
            }
        }
    }

    /// Where the control socket is unless told otherwise.
    public static let defaultControlSocket = "/run/sluice/control.vici"

    /// File of `ip xfrm` lines: SAs and policies by hand, and no IKE; nil: SAs are negotiated.
    public var xfrmBatch: String?
    /// The swanctl.conf; nil: IKE starts empty, and takes everything over the control socket.
    public var configuration: String?
    /// Interfaces towards the protected networks.
    public var lan: [String]
    /// Interfaces towards the peers.
    public var wan: [String]
    /// Worker threads; nil: as many as the ports have queues and the process has cores.
    public var workers: Int?
    /// Cores to pin workers to, in order; nil: the first ones that the process may use.
    public var cores: [Int]?
    /// Packets that a worker takes from a queue at once.
    public var batch = 64
    /// Frames of packet memory; nil: enough for all rings and some spare.
    public var frames: Int?
    /// Bytes per frame, 256 of them headroom.
    public var frameSizeInBytes = 2048
    /// Descriptors per ring.
    public var ringSize = 1024
    /// Where XDP runs.
    public var xdpMode = XDPMode.auto
    /// How packets get into the frames.
    public var copyMode = CopyMode.auto
    /// Whether idle workers spin instead of sleeping.
    public var busyPoll = false
    /// Packets in the replay window of SAs that name none.
    public var replayWindow = 1024
    public var engine = Engine.auto
    /// Largest outer packet in bytes; nil: the MTU of the way out.
    public var mtu: Int?
    public var hugePages = UMEM.HugePages.auto
    public var controlSocket = GatewayOptions.defaultControlSocket
    /// Whether to replace somebody else's XDP program.
    public var force = false
    /// Whether an orderly end opens the boundary: the kernel then forwards in clear what the tunnels protected.
    public var openOnExit = false
    /// Where it is kept which tunnels are up, for the next start; nil: nowhere.
    public var stateDirectory: String?
    /// Times and limits of IKE.
    public var ike = ProtocolSettings()
    /// `--allow-weak`.
    public var proposalRules = ProposalRules()
    /// Where the keys of all SAs are written to, for Wireshark; nil: nowhere.
    public var keyLog: String?

    /// Whether SAs are negotiated; else they are written by hand.
    public var negotiates: Bool { xfrmBatch == nil }

    public init(xfrmBatch: String? = nil, configuration: String? = nil, lan: [String], wan: [String]) {
        self.xfrmBatch = xfrmBatch
        self.configuration = configuration
        self.lan = lan
        self.wan = wan
    }
}
