import ArgumentParser
import ControlPlane
import Gateway

/// Closes the boundary without a gateway.
struct Guard: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "guard",
        abstract: "Close the boundary without a gateway, for the time of the boot.",
        discussion: """
            Lets the kernel drop what the configuration wants protected, until a gateway protects it: packets from a local to \
            a remote network of a child, whether forwarded or of this host itself, and with --wan such packets as come back in \
            clear. Neither interfaces nor routes nor names need to be there. `sluice run` takes over; `sluice detach` \
            opens. The rules are those of the nftables table `inet sluice`.

              sluice guard --config /etc/swanctl/swanctl.conf --lan eth1 --wan eth0
            """)

    @Option(help: ArgumentHelp("Close what the children of a swanctl.conf are for.", valueName: "file"))
    var config: String?

    @Option(help: ArgumentHelp("Close what the policies of `ip xfrm` lines are for.", valueName: "file"))
    var xfrmBatch: String?

    @Option(
        help: ArgumentHelp(
            "Interfaces towards the protected networks: what goes from one of them to another stays open.",
            valueName: "interfaces"))
    var lan: NameList?

    @Option(
        help: ArgumentHelp(
            "Interfaces towards the peers: what comes by them in clear is dropped too.", valueName: "interfaces"))
    var wan: NameList?

    @Flag(help: "Print one JSON document.")
    var json = false

    func validate() throws {
        guard config != nil || xfrmBatch != nil else {
            throw ValidationError("nothing to close: give --config FILE, or --xfrm-batch FILE for manual keys")
        }
    }

    func run() throws {
        do throws(GatewayError) {
            let (report, errors) = try BoundaryControl.close(
                .init(
                    configuration: config, xfrmBatch: xfrmBatch, lan: lan?.names ?? [], wan: wan?.names ?? []))
            for error in errors { writeToStandardError("\(error)\n") }
            try report.print(json: json, title: "Closed to packets in clear")
        } catch {
            throw Failure(gateway: error)
        }
    }
}

/// Opens the boundary.
struct Detach: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "detach",
        abstract: "Open the boundary that a gateway or `sluice guard` has left closed.",
        discussion: """
            From then on the kernel forwards in clear, by its own routes, what the tunnels protected; what that is, is \
            printed. A gateway that still runs would close again, so end it first.
            """)

    @OptionGroup var control: ControlFlags

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() throws {
        if (try? VICIClient(path: control.control)) != nil {
            throw Failure(
                .failure,
                "a gateway listens on \(control.control) and would close the boundary again; end it first, or run it with --open-on-exit"
            )
        }
        do throws(GatewayError) {
            let report = try BoundaryControl.open()
            if let report {
                try report.print(json: json, title: "Open from now on, to packets in clear")
            } else {
                writeToStandardOutput(json ? "{}\n" : "Nothing was closed.\n")
            }
        } catch {
            throw Failure(gateway: error)
        }
    }
}

extension BoundaryReport {
    func print(json: Bool, title: String) throws(GatewayError) {
        do {
            writeToStandardOutput(json ? try JSONDocument.text(self) : text(title))
        } catch {
            throw GatewayError(.failure, cause: error)
        }
    }
}
