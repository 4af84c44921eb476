// A part that fails says so in its place; the rest of the page, and what was typed, stay.
import { Component, type ComponentChildren } from "preact";
import { Trouble } from "./ui.tsx";

export class Boundary extends Component<{ children: ComponentChildren }, { error: unknown }> {
  override state: { error: unknown } = { error: null };

  static override getDerivedStateFromError(error: unknown): { error: unknown } {
    return { error };
  }

  override componentDidCatch(error: unknown): void {
    console.error(error);
  }

  override render(): ComponentChildren {
    if (this.state.error === null) return this.props.children;
    return <Trouble error={`This part of the page failed: ${String(this.state.error)}. What you typed is kept`} retry={() => this.setState({ error: null })} />;
  }
}
