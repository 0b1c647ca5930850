import ArgumentParser
import Gateway
import Packets

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run the gateway, in the foreground.",
        discussion: """
            Prints one line that starts with `ready` once packets flow, and tells systemd when it started us. SIGTERM and \
            SIGINT end it cleanly: SAs deleted at the peers, routes removed, keys zeroed. SIGHUP reads the configuration \
            again; what has not changed stays up.

            However it ends, the boundary stays closed: what the configuration wants protected is dropped until a gateway \
            runs again, or `sluice detach` opens it. With --open-on-exit an orderly end opens it.

              sluice run --config /etc/swanctl/swanctl.conf --lan eth1 --wan eth0
              sluice run --xfrm-batch /etc/sluice/tunnel.xfrm --lan eth1 --wan eth0

            IKE has UDP ports 500 and 4500 on all addresses. Without --config it starts empty, and `swanctl --load-all` \
            loads what it is to do. With --xfrm-batch keys are written by hand, there is no IKE, and --config is an error.

            Needs root, or CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE, CAP_BPF, CAP_PERFMON and CAP_IPC_LOCK.
            """)

    @OptionGroup(title: "Tunnel") var tunnel: TunnelFlags
    @OptionGroup(title: "IKE") var ike: IKEFlags
    @OptionGroup(title: "Workers") var workers: WorkerFlags
    @OptionGroup(title: "Ports") var ports: PortFlags
    @OptionGroup(title: "Control") var control: ControlFlags
    @OptionGroup(title: "Boundary") var boundary: BoundaryFlags
    @OptionGroup(title: "State") var state: StateFlags
    @OptionGroup(title: "Logs") var logs: LogFlags

    private func options() throws -> GatewayOptions {
        do throws(Problem) {
            return try GatewayOptions(
                tunnel: tunnel, ike: ike, workers: workers, ports: ports, control: control, boundary: boundary,
                state: state)
        } catch {
            throw ValidationError("\(error)")
        }
    }

    func validate() throws { _ = try options() }

    func run() async throws {
        let options = try options()
        logs.bootstrap()
        do {
            try await GatewayService.run(options) { writeToStandardOutput($0 + "\n") }
        } catch {
            throw Failure(gateway: error)
        }
    }
}

extension Failure {
    /// The exit code that fits the reason.
    init(gateway error: any Error) {
        guard let error = error as? GatewayError else {
            self.init(.failure, [Problem(of: error)])
            return
        }
        self.init(error.kind == .configuration ? .configuration : .failure, error.problems)
    }
}
