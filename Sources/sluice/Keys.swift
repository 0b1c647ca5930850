import ArgumentParser
import Configuration

/// Writes the manual of swanctl.conf, for the file in `deploy/examples`.
struct Keys: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "Print the keys of swanctl.conf, with their values, defaults and meanings.",
        shouldDisplay: false)

    func run() { writeToStandardOutput(SettingsManual.markdown) }
}
