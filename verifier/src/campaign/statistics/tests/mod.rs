mod coverage;
mod plan;
mod population;
mod simulation;
mod whole;
