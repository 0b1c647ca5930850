import ArgumentParser
import Gateway
import IKEv2
import Packets
import Platform
import XDP

extension XDPMode: ExpressibleByArgument {}
extension CopyMode: ExpressibleByArgument {}
extension GatewayOptions.Engine: ExpressibleByArgument {}
extension UMEM.HugePages: ExpressibleByArgument {}

/// Flags that say what the tunnels are: connections or keys, interfaces.
struct TunnelFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Negotiate the tunnels of a swanctl.conf. Without it, and without --xfrm-batch, `swanctl` brings them.",
            valueName: "file"))
    var config: String?

    @Option(
        help: ArgumentHelp(
            "Instead of negotiating, read SAs and policies from `ip xfrm` lines, as `ip -batch` takes them.",
            valueName: "file"))
    var xfrmBatch: String?

    @Option(
        help: ArgumentHelp("Interfaces towards the protected networks, separated by commas.", valueName: "interfaces"))
    var lan: NameList

    @Option(help: ArgumentHelp("Interfaces towards the peers, separated by commas.", valueName: "interfaces"))
    var wan: NameList

    @Option(
        help: ArgumentHelp(
            "Replay window of SAs that name none, negotiated ones too: 32 to 65536, or 0 for no replay protection.",
            valueName: "packets"))
    var replayWindow = 1024

    @Option(
        help: ArgumentHelp(
            "Largest outer packet. By default the MTU of the interface it leaves by.", valueName: "bytes"))
    var mtu: Int?
}

/// Flags about workers and the engine.
struct WorkerFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Worker threads. By default one for each queue that all ports have, as far as there are cores.",
            valueName: "count"))
    var workers: Int?

    @Option(help: ArgumentHelp("Cores to pin the workers to, e.g. 2,4-7.", valueName: "cores"))
    var cores: CoreList?

    @Option(help: ArgumentHelp("Packets taken from a queue at once: 1 to 256.", valueName: "packets"))
    var batch = 64

    @Flag(help: "Spin when idle instead of sleeping: lower latency for a core that is always busy.")
    var busyPoll = false

    @Option(help: ArgumentHelp("Engine for the cryptography.", valueName: "engine"))
    var engine = GatewayOptions.Engine.auto
}

/// Flags about sockets, rings and packet memory.
struct PortFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Place where XDP runs. auto: in the driver (native), else in the stack (generic).", valueName: "mode"))
    var xdpMode = XDPMode.auto

    @Option(
        help: ArgumentHelp(
            "Whether the driver copies packets. auto: zero-copy where the driver can.", valueName: "mode"))
    var copyMode = CopyMode.auto

    @Option(
        help: ArgumentHelp("Frames of packet memory. By default enough for all rings.", valueName: "count"))
    var frames: Int?

    @Option(help: ArgumentHelp("Bytes per frame: 2048, or 4096 for an MTU above 1500.", valueName: "bytes"))
    var frameSize = 2048

    @Option(help: ArgumentHelp("Descriptors per ring, a power of two.", valueName: "count"))
    var ringSize = 1024

    @Option(help: ArgumentHelp("Whether packet memory is in huge pages.", valueName: "choice"))
    var hugePages = UMEM.HugePages.auto

    @Flag(help: "Replace XDP programs of others on these interfaces.")
    var force = false
}

/// Flags about the end of the gateway: what stays behind.
struct BoundaryFlags: ParsableArguments {
    @Flag(
        help:
            "Open the boundary at an orderly end: what the tunnels protected is then forwarded in clear. By default it stays closed."
    )
    var openOnExit = false
}

/// Flags about what is kept from one run to the next.
struct StateFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Directory for the names of tunnels that are up, which come up again at the next start. By default what systemd names in STATE_DIRECTORY, else none.",
            valueName: "directory"))
    var state: String?

    /// systemd may name several, separated by colons.
    static var ofServiceManager: String? {
        CurrentProcess.environment("STATE_DIRECTORY").map { $0.prefix { $0 != ":" } }.flatMap {
            $0.isEmpty ? nil : String($0)
        }
    }
}

/// The flag for the socket on which a gateway listens for `sluice status` and `swanctl`.
struct ControlFlags: ParsableArguments {
    @Option(help: ArgumentHelp("Path of the control socket.", valueName: "socket"))
    var control = GatewayOptions.defaultControlSocket
}

extension GatewayOptions {
    /// The flags of one command line, checked.
    init(
        tunnel: TunnelFlags, ike: IKEFlags, workers: WorkerFlags, ports: PortFlags, control: ControlFlags,
        boundary: BoundaryFlags, state: StateFlags
    ) throws(Problem) {
        self.init(
            xfrmBatch: tunnel.xfrmBatch, configuration: tunnel.config, lan: tunnel.lan.names, wan: tunnel.wan.names)
        self.ike = ike.settings
        keyLog = ike.ikeKeylog
        proposalRules = ProposalRules(allowsWeakGroups: ike.allowWeak)
        replayWindow = tunnel.replayWindow
        mtu = tunnel.mtu
        self.workers = workers.workers
        cores = workers.cores?.cores
        batch = workers.batch
        busyPoll = workers.busyPoll
        engine = workers.engine
        xdpMode = ports.xdpMode
        copyMode = ports.copyMode
        frames = ports.frames
        frameSizeInBytes = ports.frameSize
        ringSize = ports.ringSize
        hugePages = ports.hugePages
        force = ports.force
        controlSocket = control.control
        openOnExit = boundary.openOnExit
        stateDirectory = state.state ?? StateFlags.ofServiceManager
        try validate()
    }
}
