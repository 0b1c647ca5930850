import ArgumentParser
import Logging
import Telemetry

extension Logger.Level: @retroactive ExpressibleByArgument {}
extension LogFormat: ExpressibleByArgument {}

/// Flags about the log: how much, and in which format. It goes to standard error.
struct LogFlags: ParsableArguments {
    @Option(help: ArgumentHelp("Lowest level of lines that are logged.", valueName: "level"))
    var logLevel = Logger.Level.info

    @Option(help: ArgumentHelp("Format of the log.", valueName: "format"))
    var logFormat = LogFormat.text

    /// Sets the log up; called once, before the first line.
    func bootstrap() {
        let (level, format) = (logLevel, logFormat)
        LoggingSystem.bootstrap { LineLogHandler(label: $0, format: format, level: level) }
    }
}
