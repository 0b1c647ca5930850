import XDP

/// All that `sluice run` can be told. Every field has the default of its flag.
public struct GatewayOptions: Hashable, Sendable {
    /// Whether XDP runs in the driver.
    public enum XDPMode: String, CaseIterable, Sendable {
        /// Native, and generic where the driver has none.
        case auto
        case native
        case generic
    }

    /// Whether packets are copied between driver and frames.
    public enum CopyMode: String, CaseIterable, Sendable {
        /// Zero copy, and copies where the driver has none.
        case auto
        case copy
        case zeroCopy = "zero-copy"
    }

    /// Who does the cryptography.
    public enum Engine: String, CaseIterable, Sendable {
        /// The fastest that is installed.
        case auto
        case openssl
    }

    /// Where the control socket is unless told otherwise.
    public static let defaultControlSocket = "/run/sluice/control.vici"

    /// File of `ip xfrm` lines: the SAs and policies.
    public var xfrmBatch: String
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
    public var xdpMode = XDPMode.auto
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

    public init(xfrmBatch: String, lan: [String], wan: [String]) {
        self.xfrmBatch = xfrmBatch
        self.lan = lan
        self.wan = wan
    }
}
