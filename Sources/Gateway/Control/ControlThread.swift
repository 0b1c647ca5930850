import Configuration
import ControlPlane
import IKEv2
import Logging
import NIOCore

/// The control thread as other threads see it: everything is asked of its event loop.
struct ControlThread: Sendable {
    private let eventLoop: any EventLoop
    private let bound: NIOLoopBound<ControlLoop>
    private let timer: RepeatedTask
    /// The part that negotiates; nil: nothing is negotiated.
    let ike: IKEThread?

    /// Makes the loop and publishes the first snapshot. Blocks until that is done.
    init(
        _ parts: GatewayParts, configuration: ManualConfiguration, on eventLoop: any EventLoop, logger: Logger
    ) throws {
        self.eventLoop = eventLoop
        let bound = try eventLoop.submit {
            NIOLoopBound(
                try ControlLoop(
                    parts, configuration: configuration, network: parts.monitor.initialState, on: eventLoop,
                    logger: logger),
                eventLoop: eventLoop)
        }.wait()
        self.bound = bound
        let ike = parts.options.negotiates ? try IKEThread(parts.options, control: bound, on: eventLoop) : nil
        self.ike = ike
        timer = eventLoop.scheduleRepeatedTask(
            initialDelay: .zero, delay: .milliseconds(ControlLoop.tickInMilliseconds)
        ) { _ in
            bound.value.tick()
            ike?.service.value.tick()
        }
    }

    /// The configuration is in force: packets that no policy is about pass from now on.
    func openSteering() throws {
        try eventLoop.submit { [bound] in try bound.value.openSteering() }.wait()
    }

    /// Deletes SAs at their peers, as long as packets still flow. Blocks for a second at most.
    func endSessions() { ike?.shutDown() }

    /// Ends it, and takes back the host's routes.
    func stop() {
        timer.cancel()
        try? eventLoop.submit { [bound] in bound.value.stop() }.wait()
    }

    /// The commands of the control socket. They run on the loop.
    func commands() throws -> CommandRegistry {
        let own = CommandRegistry([
            VersionCommand(daemon: Product.name, version: Product.version),
            StatsCommand { [bound, ike] in
                var statistics = bound.value.daemonStatistics()
                if let counters = ike?.service.value.manager.counters {
                    statistics.sessions = counters.sessions
                    statistics.halfOpenSessions = counters.halfOpen
                }
                return statistics
            },
            StatusCommand { [bound, ike] in
                var report = bound.value.report()
                if let service = ike?.service.value {
                    report.negotiation = NegotiationStatus(service)
                    report.configuration = ConfigurationStatus(
                        errors: service.control.faults.errors, refused: service.manager.connections.refusedParts)
                }
                let document = report
                return { format in
                    switch format {
                    case .json: return Array(try JSONDocument.text(document).utf8)
                    case .text: return Array(document.text().utf8)
                    }
                }
            },
        ])
        return try ike?.commands(beside: own) ?? own
    }

    /// SAs and policies in use, for the line that says that the gateway is ready.
    func counts() throws -> (associations: Int, policies: Int) {
        try eventLoop.submit { [bound] in
            let counts = bound.value.snapshot.counts
            return (counts.outbound + counts.inbound, counts.policies)
        }.wait()
    }
}
