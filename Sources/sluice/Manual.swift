import ArgumentParser
import Configuration
import Gateway

/// The manual of swanctl.conf, for the file in `deploy/examples`.
struct Keys: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "Print the keys of swanctl.conf, with their values, defaults and meanings.",
        shouldDisplay: false)

    func run() { writeToStandardOutput(SettingsManual.markdown) }
}

/// The manual of all figures, for the file in `deploy/examples`.
struct Metrics: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics", abstract: "Print the figures of a gateway, with their units and meanings.",
        shouldDisplay: false)

    func run() { writeToStandardOutput(MetricCatalogue.markdown) }
}
