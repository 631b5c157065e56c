// What a rehearsal imports: nobody's function, as a module.
export const handler = async (event) => event;
