import Dataplane
import Logging
import Platform
import ServiceLifecycle

/// `sluice run`: a gateway as a service that ends with SIGTERM or SIGINT.
package struct GatewayService: Service {
    private let options: GatewayOptions
    private let announce: @Sendable (String) -> Void
    private let logger = Logger(label: "gateway")

    /// Runs a gateway until a signal ends it. `announce` gets the line that says that packets flow.
    package static func run(_ options: GatewayOptions, announce: @escaping @Sendable (String) -> Void) async throws {
        let service = GatewayService(options: options, announce: announce)
        var quiet = Logger(label: "lifecycle")
        quiet.logLevel = .warning
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: service, successTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
        try await group.run()
    }

    package func run() async throws {
        let begun = Worker.clock()
        // Until it is handled, it must not end us.
        CurrentProcess.ignoreHangUp()
        for weakness in ProcessHardening.apply() { logger.warning("\(weakness.description)") }
        ProcessHardening.raiseDescriptorLimit()
        try await serve(try start(), since: begun)
    }

    /// Blocks for as long as it takes to open the ports; nothing else runs yet.
    private func start() throws -> RunningGateway {
        let gateway = try RunningGateway(options, logger: logger)
        do {
            try gateway.start()
        } catch {
            gateway.stop()
            throw error
        }
        return gateway
    }

    private func serve(_ gateway: RunningGateway, since begun: UInt64) async throws {
        do {
            // Who waits for `ready` may name them.
            try gateway.loadConnections()
            let line = try readyLine(gateway, since: begun)
            announce(line)
            ServiceManager.ready(line)
            logger.info("gateway is ready")
            await untilShutdown(reloading: gateway.reload)
        } catch {
            gateway.stop()
            throw error
        }
        logger.info("gateway is stopping")
        ServiceManager.stopping()
        gateway.stop()
        logger.info("gateway has stopped")
    }

    private func untilShutdown(reloading reload: ConfigurationReload) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await reload.run() }
            try? await gracefulShutdown()
            group.cancelAll()
        }
    }

    private func readyLine(_ gateway: RunningGateway, since begun: UInt64) throws -> String {
        try gateway.readyLine(milliseconds: Int((Worker.clock() &- begun) / 1_000_000))
    }
}

/// The product's own name and version, as `--version` and the control socket give them.
package enum Product {
    package static let name = "sluice"
    package static let version = "0.1.0"
}
