import ArgumentParser
import Gateway

@main
struct Sluice: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sluice",
        abstract: "A site-to-site IPsec gateway that carries packets past the kernel, through AF_XDP.",
        discussion: """
            Sluice encrypts what goes from the protected networks behind this machine to those of its peers, and \
            decrypts what comes back. All else on the same interfaces stays with the kernel.

            A first tunnel: describe it in a swanctl.conf, look at what that comes to, start the gateway, negotiate, and \
            see it work.

              sluice check --config swanctl.conf
              sudo sluice run --config swanctl.conf --lan eth1 --wan eth0
              sudo sluice initiate --child lan
              sudo sluice status

            Keys written by hand, as `ip xfrm` lines, are read with --xfrm-batch instead of --config.

            Exit codes: 0 success, 64 bad usage, 78 bad configuration, 1 everything else.
            """,
        version: Product.version,
        subcommands: [
            Run.self, Status.self, Initiate.self, Terminate.self, Rekey.self, Check.self, Guard.self, Detach.self,
            Bench.self, Keys.self, Metrics.self,
        ])

    /// The library's own `main`, except that our failures are one line and have their own exit codes.
    static func main() async {
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let failure as Failure {
            failure.report()
        } catch {
            exit(withError: error)
        }
    }
}
